"""Decodes JSON leniently: empty values, times in other forms, broken characters.

A value is read leniently only after its strict decoding failed, and only if nothing is lost by it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

import msgspec

from ..errors import UndecodableError
from ..models import Model, Pagination, Time

DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on bad input: its own errors, text that is not UTF-8, deep nesting."""


class LoosePagination(Model, frozen=True):
    """`Pagination` with an ``endCursor`` that may be null or missing."""

    # hasNextPage has no default: reading a missing one as False could end a stream early.
    has_next_page: bool
    end_cursor: str | None = ""

    def strict(self) -> Pagination:
        """Return it with an empty cursor for none."""
        return Pagination(end_cursor=self.end_cursor or "", has_next_page=self.has_next_page)


_HIGH, _LOW = rb"[89abAB][0-9a-fA-F]{2}", rb"[c-fC-F][0-9a-fA-F]{2}"
_LONE_SURROGATE = re.compile(
    rb"\\u[dD](?:%(high)b(?!\\u[dD]%(low)b)|%(low)b(?<!\\u[dD]%(high)b\\u[dD]%(low)b))"
    % {b"high": _HIGH, b"low": _LOW}
)
_ESCAPED_BACKSLASH = rb"\\"
_STAND_IN = b"\\\n"  # as long, and part of no JSON


def repaired_text(body: bytes) -> bytes:
    """Return the JSON without a byte order mark, and with lone surrogates replaced.

    A note that was cut off in the middle of an emoji must not make the page undecodable.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    if _STAND_IN in body:
        return body
    # An escaped backslash may stand before a "u" that escapes nothing. No pattern that steps over
    # pairs of backslashes is fast on a text that is full of them.
    text = body.replace(_ESCAPED_BACKSLASH, _STAND_IN)
    return _LONE_SURROGATE.sub(rb"\\ufffd", text).replace(_STAND_IN, _ESCAPED_BACKSLASH)


def decode_json(body: bytes) -> object:
    """Decode JSON, with bytes that are not UTF-8 replaced."""
    return msgspec.json.decode(body.decode(errors="replace"))


_IF_NULL: Final[Mapping[str, str | None]] = {
    "sessionStatus": "unknown",
    "coachingType": "unknown",
    "coachableBehaviorType": "unknown",
    "sourceType": None,
}
"""The enumerations, and what ``null`` means in each. The vendor's SDK reads any value there."""


def mended(value: object, name: str = "") -> object:
    """Return the value of the field ``name`` in a form that strict decoding reads.

    Fields are dropped that are ``null`` or, for a time, ``""``: both mean that the value is absent.
    """
    if name in _IF_NULL and not isinstance(value, str):
        return _IF_NULL[name] if value is None else msgspec.json.encode(value).decode()
    if isinstance(value, list):
        return [mended(item, name) for item in value]
    if isinstance(value, dict):
        # The names of external ids are the user's, and mean nothing here.
        known = value if name == "externalIds" else {k: mended(v, k) for k, v in value.items()}
        return {key: item for key, item in known.items() if item is not None}
    return read_time(value) if name.endswith("Time") else value


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)
_MOST_SECONDS = 2e10
"""A larger number counts milliseconds, as for the vendor's SDK."""


def read_time(value: object) -> object:
    """Return a time as a datetime, ``""`` as None, and what can't be read as a time unchanged.

    It may lack its seconds, or be a date alone, or a number of seconds or milliseconds since 1970.
    Without an offset it is in UTC, as all times of the API are.
    """
    if value == "":
        return None
    try:
        return msgspec.convert(value, Time)
    except msgspec.ValidationError:
        pass
    try:
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            moment = datetime.fromisoformat(value.upper().replace("\N{MINUS SIGN}", "-"))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            number = float(value)
            milliseconds = number if abs(number) > _MOST_SECONDS else number * 1000
            return _EPOCH + timedelta(milliseconds=milliseconds)
    except (ValueError, OverflowError):
        pass
    return value


def raise_undecodable(what: str, error: Exception, body: bytes) -> NoReturn:
    """Raise an UndecodableError: the body is not ``what``."""
    raise UndecodableError(f"not {what}: {error}", body=body) from error

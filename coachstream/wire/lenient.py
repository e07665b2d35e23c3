"""Decodes JSON leniently: with empty values, byte order marks and broken characters."""

import re
from typing import NoReturn

import msgspec

from ..errors import UndecodableError
from ..models import Model

DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on bad input: its own errors, text that is not UTF-8, deep nesting."""


class LoosePagination(Model, frozen=True):
    """`Pagination` with an ``endCursor`` that may be null or missing."""

    # hasNextPage has no default: reading a missing one as False could end a stream early.
    has_next_page: bool
    end_cursor: str | None = ""


_LONE_SURROGATE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
"""Matches an escaped backslash, a pair of surrogates, or a lone one. Only the last is invalid."""


def repaired_text(body: bytes) -> bytes:
    """Return the JSON without a byte order mark, and with lone surrogates replaced.

    A note that was cut off in the middle of an emoji must not make the page undecodable.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    return _LONE_SURROGATE.sub(lambda found: b"\\ufffd" if found["lone"] else found[0], body)


def decode_json(body: bytes) -> object:
    """Decode JSON after repairing its text."""
    return msgspec.json.decode(repaired_text(body).decode(errors="replace"))


def without_blanks(value: object) -> object:
    """Drop fields that are ``null`` or, for a time, ``""``: both mean that the value is absent."""
    if isinstance(value, list):
        return [without_blanks(item) for item in value]
    if isinstance(value, dict):
        return {
            name: without_blanks(item)
            for name, item in value.items()
            if item is not None and not (item == "" and name.endswith("Time"))
        }
    return value


def raise_undecodable(what: str, error: Exception, body: bytes) -> NoReturn:
    """Raise an UndecodableError: the body is not ``what``."""
    raise UndecodableError(f"not {what}: {error}", body=body) from error

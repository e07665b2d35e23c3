"""JSON as other writers spell it: blanks, byte order marks, halves of characters."""

import re
from typing import NoReturn

import msgspec

from ..errors import UndecodableError
from ..models import Model

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec may raise on bytes: its own errors, text that is not UTF-8, nesting without end."""


class LoosePagination(Model, frozen=True):
    """Where a page ends, with an ``endCursor`` that may be null or missing."""

    # hasNextPage has no default: to take a missing one for "no more" could end a stream early.
    has_next_page: bool
    end_cursor: str | None = ""


_LONE_SURROGATE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
"""An escaped backslash, a pair of surrogates, or one alone: only that is wrong."""


def mended_text(body: bytes) -> bytes:
    """Return JSON without what some writers leave in: a byte order mark, half a character.

    A note cut off in the middle of an emoji must not cost the page.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    return _LONE_SURROGATE.sub(lambda found: b"\\ufffd" if found["lone"] else found[0], body)


def decode_json(body: bytes) -> object:
    """Decode JSON whose text may be damaged."""
    return msgspec.json.decode(mended_text(body).decode(errors="replace"))


def without_blanks(value: object) -> object:
    """Leave out what is spelled ``null`` or, for a time, ``""``: both mean that it is absent."""
    if isinstance(value, list):
        return [without_blanks(item) for item in value]
    if isinstance(value, dict):
        return {
            name: without_blanks(item)
            for name, item in value.items()
            if item is not None and not (item == "" and name.endswith("Time"))
        }
    return value


def refuse(what: str, error: Exception, body: bytes) -> NoReturn:
    """Raise an UndecodableError that says what the body is not."""
    raise UndecodableError(f"not {what}: {error}", body=body) from error

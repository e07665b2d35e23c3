"""What a reader has read: the new sessions of a page, and where to go on after them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter

import msgspec

from ..models import CoachingSession
from ..wire.pages import Entry

RECENT = 500
"""How many keys of versions settled last are remembered, in case the cursor expires."""

Key = tuple[str, datetime]
"""Names a version: a session's id and ``updated_at_time``."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A page on its way from the reader to the user."""

    entries: tuple[Entry, ...]
    """The sessions that are new."""
    cursor: str | None
    """Where to read on when all of them are settled."""
    cursor_time: datetime | None = None
    """When the server gave the cursor."""
    moved: bool
    """Whether the cursor moved; if not, what came before this page still lies beyond it."""
    has_next_page: bool = True
    size: int = 0
    """Bytes of the page."""
    query: str = ""
    """The query of the page, in its wire form."""
    dead_cursor: str | None = None
    """The cursor that the server refused last."""


def keys(entries: Sequence[Entry]) -> list[Key]:
    """Name the versions. One that can't be named is left out, and so can't be recognised later."""
    try:
        return [*map(_key, entries)]
    except AttributeError:  # one of them is malformed, which is rare
        return [key for entry in entries if (key := _key_of(entry)) is not None]


_key: Callable[[Entry], Key] = attrgetter("id", "updated_at_time")


def _key_of(entry: Entry) -> Key | None:
    if isinstance(entry, CoachingSession):
        return entry.key
    if entry.session_id is None or entry.updated_at_time is None:
        return None
    return entry.session_id, entry.updated_at_time

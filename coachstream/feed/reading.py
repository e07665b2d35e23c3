"""What a reader has read: a page's new sessions, and where to go on after them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter

import msgspec

from ..models import CoachingSession
from ..wire.pages import Entry

RECENT = 500
"""Keys of the last settled versions that are kept, for the day the cursor dies."""

Key = tuple[str, datetime]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A page on its way from the reader to the user."""

    entries: tuple[Entry, ...]
    """What is new in it."""
    cursor: str | None
    """Where to read on when all of it is finished."""
    cursor_time: datetime | None = None
    moved: bool
    """Whether the cursor moved; if not, what came before this page still lies beyond it."""
    has_next_page: bool = True
    size: int = 0
    """Bytes of the page."""
    query: str = ""
    """The query the page answers."""
    dead_cursor: str | None = None
    """The last cursor found dead."""


def keys(entries: Sequence[Entry]) -> list[Key]:
    """Name the versions; one that can't be named can't be skipped either, and comes again."""
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

"""What a reader has read: the new sessions of a page, and where to go on after them."""

from datetime import datetime, timedelta

import msgspec

from ..wire.pages import Entry
from .recent import Batch


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A page on its way from the reader to the user."""

    entries: tuple[Entry, ...]
    """The sessions that are new."""
    repeated: tuple[Entry, ...] = ()
    """The others of the page, which came before."""
    cursor: str | None
    """Where to read on when all of them are settled."""
    cursor_time: datetime | None = None
    """When the server gave the cursor."""
    moved: bool
    """Whether the cursor moved; if not, what came before this page still lies beyond it."""
    has_next_page: bool = True
    size: int = 0
    """Bytes of the page."""
    batch: Batch
    """The new sessions once more, as they are remembered."""
    query: str = ""
    """The query of the page, in its wire form; empty: that of the page before."""
    dead_cursor: str | None = None
    """The cursor that the server refused last."""
    served_at: datetime | None = None
    """The time by which updates in the future are known; None: that is not known."""
    newest: datetime | None = None
    """The highest time of the new sessions that does not lie in the future."""
    disorder: timedelta = timedelta()
    """By how much times went back in what was read so far."""

"""What a stream reads from, and what comes of it: new sessions, and where to go on after them."""

from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from ..models import Position
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


class Reader(Protocol):
    """What a stream reads from. Not for two tasks at once."""

    @property
    def ended(self) -> bool:
        """Whether the last page of a bounded query has been read."""
        ...

    @property
    def wait(self) -> float:
        """Seconds until the next page is requested; 0 or less: at once."""
        ...

    def start_at(self, start: Position) -> None:
        """Set the position to read from, before anything is read."""
        ...

    async def read(self) -> Reading:
        """Return the next page, when it is time for it.

        If this is cancelled or fails, the reader has not moved: it requests the same page again.

        Raises:
            CoachStreamError: the request failed, and patience is over.
        """
        ...

    async def aclose(self) -> None:
        """Cancel what is under way, and read no more."""
        ...

    def abandon(self) -> None:
        """Cancel what is under way without waiting; from any thread."""
        ...

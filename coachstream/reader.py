"""Reads a query's pages one after another, for ever if need be.

It knows the way and the times; who wants the sessions, and when they are finished, is decided
above.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

import msgspec

from . import wire
from .clock import Clock
from .cursors import Entry, Walk
from .errors import MalformedSessionError
from .health import Pulse
from .query import Query
from .ratelimit import Limit
from .retry import Patience
from .telemetry import CaughtUp, Event, Observer, PageRead
from .transport import Transport

PATH = "/coaching/sessions/stream"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A page on its way to the user."""

    entries: tuple[Entry, ...]
    """What is new in it."""
    cursor: str | None
    """Where to read on when all of it is finished."""
    cursor_time: datetime | None
    moved: bool
    """Whether the cursor moved; if not, what came before this page is still beyond it."""
    has_next_page: bool
    size: int


class PageReader:
    """One reader of one query. Not for two tasks at once."""

    def __init__(
        self,
        *,
        query: Query,
        after: str | None,
        transport: Transport,
        limit: Limit,
        patience: Patience,
        clock: Clock,
        observer: Observer,
        pulse: Pulse,
        poll_interval: float,
        keep_raw: bool,
    ) -> None:
        self.query = query
        self._transport = transport
        self._limit = limit
        self._patience = patience
        self._clock = clock
        self._observer = observer
        self._pulse = pulse
        self._read: Callable[[bytes], wire.Page] = partial(wire.sessions_page, keep_raw=keep_raw)
        self._walk = Walk(cursor=after, bounded=query.bounded, poll_interval=poll_interval)
        self._cursor_time: datetime | None = None
        self._due = clock.monotonic()
        self.ended = False
        """Whether the last page of a bounded query has been read."""

    async def read(self) -> Reading:
        """Return the next page, when it is time for it.

        Cancelled or failed, it has not moved: the same page is asked for again.

        Raises:
            CoachStreamError: what stands in the way, when patience is over.
        """
        wait = self._due - self._clock.monotonic()
        if wait > 0:
            self.announce(CaughtUp(delay=wait))
            await self._clock.sleep(wait)
        self._pulse.expect_nothing()  # how long the turn at the limit takes, others decide
        page = await self._transport.call(
            "GET",
            PATH,
            self.query.after(self._walk.cursor),
            limit=self._limit,
            patience=self._patience,
            read=self._read,
            observer=self.announce,
            last_good=self._pulse.last_answer,
        )
        step = self._walk.step(page)
        if step.moved:
            self._cursor_time = self._clock.now()
        self._due = self._clock.monotonic() + step.pause
        self.ended = step.ended
        self.announce(
            PageRead(
                sessions=len(step.entries),
                repeated=len(page.entries) - len(step.entries),
                malformed=sum(isinstance(one, MalformedSessionError) for one in step.entries),
                size=page.size,
                has_next_page=page.has_next_page,
            )
        )
        return Reading(
            entries=step.entries,
            cursor=step.cursor,
            cursor_time=self._cursor_time,
            moved=step.moved,
            has_next_page=page.has_next_page,
            size=page.size,
        )

    def announce(self, event: Event) -> None:
        """Tell the observer, and the stream's own health."""
        self._pulse.note(event, self._clock.monotonic())
        self._observer(event)

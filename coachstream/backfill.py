"""Reads the past by windows, and then follows from the moment it began."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import msgspec

from .background import Background
from .clock import Clock
from .errors import ClosedError
from .frontier import Key, Reading, keys
from .models import Position
from .past import Past
from .query import Query
from .reader import OVERLAP, PageReader
from .telemetry import BackfillProgress, Observer
from .windows import Window, Windows

READERS = 5
"""How many windows are read at once: the limit lets a request leave each 0.2 s, so five are under
way when an answer takes a second."""


class BackfillReader:
    """Reads a query by windows, if it should, and follows it from there, if it has no end."""

    def __init__(
        self,
        *,
        start: Position,
        readers: int,
        open_reader: Callable[[Position], PageReader],
        server_now: Callable[[], datetime | None],
        background: Background,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._readers = readers
        self._open_reader = open_reader
        self._server_now = server_now
        self._background = background
        self._clock = clock
        self._observer = observer
        self.ended = False
        self._closed = False
        self.go_on_from(start)

    def go_on_from(self, start: Position) -> None:
        self._start = start
        self._origin = Query.from_wire(start.origin)
        self._past: Past | None = None
        self._sessions = 0
        self._told_until: datetime | None = None
        self._late: set[Key] = set()  # those that following meets again
        fresh = start.query == start.origin and start.cursor is None
        self._follower: PageReader | None = None
        if self._window_begun is None and not (fresh and self._readers > 1):
            self._follower = self._open_reader(start)

    @property
    def wait(self) -> float:
        return 0.0 if self._follower is None else self._follower.wait

    async def read(self) -> Reading:
        if self._follower is None:
            past = self._past = self._past or self._begin()
            if not past.ended:
                return self._taken_in(await past.read(), past)
            if self._closed:
                raise ClosedError("the stream is closed")
            # Also what an earlier run has settled of it.
            earlier = {*past.known, *self._start.recent, *self._start.settled}
            self._late.update(key for key in earlier if key[1] >= self._end_of_the_past())
            self._follower = self._open_reader(self._where_to_follow_from())
        reading = await self._follower.read()
        self.ended = self._follower.ended
        return reading

    async def aclose(self) -> None:
        self._closed = True
        for under_way in (self._past, self._follower):
            if under_way is not None:
                await under_way.aclose()

    def abandon(self) -> None:
        for under_way in (self._past, self._follower):
            if under_way is not None:
                under_way.abandon()

    @property
    def _window_begun(self) -> Window | None:
        """The window in which we are to go on, if it is one."""
        query = Query.from_wire(self._start.query)
        if query.end is None or query.end == self._origin.end:
            return None
        return query.start, query.end

    def _begin(self) -> Past:
        """Have all until now read by windows, or what is left of it."""
        self._began, self._began_at = self._clock.now(), self._clock.monotonic()
        self._follow_from: datetime | None = None
        begun = self._window_begun
        begins = self._origin.start if begun is None else begun[1]
        self._end = self._origin.end or self._began
        past = Past(
            Windows(begins, self._end, readers=self._readers),
            readers=self._readers,
            open_reader=partial(self._open_window, self._origin),
            background=self._background,
        )
        # A server that takes a window's end to be part of it has told what lies there.
        at_the_seam = (key for key in self._start.recent if key[1] >= begins)
        past.known.update(self._start.settled, at_the_seam)
        if begun is not None:
            past.take_up(begun, self._open_reader(self._start))
        return past

    def _open_window(self, origin: Query, window: Window) -> PageReader:
        query = origin.within(*window)
        return self._open_reader(Position(query=query.wire, origin=origin.wire))

    def _taken_in(self, reading: Reading, past: Past) -> Reading:
        self._sessions += len(reading.entries)
        if self._follow_from is None and not self._origin.bounded:
            # A place in a window that has yet to begin would say that all before it was read.
            past.stop_at(self._end_of_the_past() + OVERLAP)
        late = self._end_of_the_past()
        self._late.update(key for key in keys(reading.entries) if key[1] >= late)
        self.ended = past.ended and self._origin.bounded
        self._tell_progress(past)
        # A window's last page is no end to whoever reads them all.
        return msgspec.structs.replace(reading, has_next_page=not self.ended)

    def _tell_progress(self, past: Past) -> None:
        if past.until is None or past.until == self._told_until:
            return
        self._told_until = past.until
        begins = Query.from_wire(self._start.query).start
        share = (past.until - begins) / (max(self._end, past.until) - begins)
        seconds = (self._clock.now() - self._began).total_seconds()
        self._observer(
            BackfillProgress(
                windows=past.windows,
                sessions=self._sessions,
                until=past.until,
                share=share,
                seconds_left=seconds * (1 - share) / share,
            )
        )

    def _where_to_follow_from(self) -> Position:
        query = self._origin.starting(max(self._origin.start, self._end_of_the_past()))
        return Position(query=query.wire, origin=self._origin.wire, settled=tuple(self._late))

    def _end_of_the_past(self) -> datetime:
        """Return the moment at which reading it began, less the overlap.

        By the server's time, since our clock may be fast: what changed after we began must not be
        taken for read. It is worked out once, and by what has passed since: our clock may be set.
        """
        if self._follow_from is None:
            began, server_now = self._began, self._server_now()
            if server_now is not None:
                passed = timedelta(seconds=self._clock.monotonic() - self._began_at)
                began = min(began, server_now - passed)
            self._follow_from = began - OVERLAP
        return self._follow_from

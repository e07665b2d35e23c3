"""Reads the past by windows, and then follows from a little before the moment it began."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import msgspec

from ..clock import Clock
from ..errors import ClosedError
from ..models import Position
from ..tasks import Background
from ..telemetry import BackfillProgress, Observer
from ..wire.query import Query
from .parallel import ParallelReader
from .reader import OVERLAP, PageReader
from .reading import Reading
from .windows import Window, Windows

TOLERANCE = timedelta(minutes=1)
"""How far our clock may be ahead of the server's: the overlap has room for that, and more."""
READERS = 5
"""How many windows are read at once: the limit lets a request leave each 0.2 s, so five are under
way when an answer takes a second."""


class BackfillReader:
    """Reads a query by windows, if it should, and follows what is young, or yet to come."""

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
        self._past: ParallelReader | None = None
        self._is_timed = False  # by the server's clock
        self._sessions = 0
        self._told_until: datetime | None = None
        fresh = start.query == start.origin and start.cursor is None
        self._follower: PageReader | None = None
        if self._window_begun is None and not (fresh and self._readers > 1):
            self._follower = self._open_reader(start)

    @property
    def wait(self) -> float:
        return 0.0 if self._follower is None else self._follower.wait

    async def read(self) -> Reading:
        if self._follower is None:
            past = self._past = self._past or self._begin(self._clock.now())
            while not past.ended:
                reading = await past.read()
                if (began := self._began_too_late()) is None:
                    return self._taken_in(reading, past)
                past.abandon()
                past = self._past = self._begin(began)
            if self._closed:
                raise ClosedError("the stream is closed")
            self._follower = self._open_reader(self._where_to_follow_from(past))
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

    def _begin(self, now: datetime) -> ParallelReader:
        """Have the past read by windows, or what is left of it.

        It ends a little before now: what is younger may still change while it is read, or become
        visible late, and is left to following.
        """
        self._began, self._began_at = now, self._clock.monotonic()
        begun = self._window_begun
        begins = self._origin.start if begun is None else begun[1]
        end = (now - OVERLAP).replace(microsecond=now.microsecond // 1000 * 1000)  # as can be sent
        self._end = end if self._origin.end is None else min(end, self._origin.end)
        past = ParallelReader(
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

    def _began_too_late(self) -> datetime | None:
        """Return when we began by the server's clock, if ours proves to be far ahead of it.

        Found out by the first answer, before anything is handed over: a place in a window that
        has yet to begin would say that all before it was read.
        """
        if self._is_timed:
            return None
        self._is_timed = True
        if (server_now := self._server_now()) is None:
            return None
        passed = timedelta(seconds=self._clock.monotonic() - self._began_at)
        began = server_now - passed
        return began if self._began - began > TOLERANCE else None

    def _open_window(self, origin: Query, window: Window) -> PageReader:
        query = origin.within(*window)
        return self._open_reader(Position(query=query.wire, origin=origin.wire))

    def _taken_in(self, reading: Reading, past: ParallelReader) -> Reading:
        self._sessions += len(reading.entries)
        self.ended = past.ended and self._end == self._origin.end
        self._tell_progress(past)
        # A window's last page is no end to whoever reads them all.
        return msgspec.structs.replace(reading, has_next_page=not self.ended)

    def _tell_progress(self, past: ParallelReader) -> None:
        if past.until is None or past.until == self._told_until:
            return
        self._told_until = past.until
        begins = Query.from_wire(self._start.query).start
        share = (past.until - begins) / (max(self._end, past.until) - begins)
        seconds = self._clock.monotonic() - self._began_at
        self._observer(
            BackfillProgress(
                windows=past.windows,
                sessions=self._sessions,
                until=past.until,
                share=share,
                seconds_left=seconds * (1 - share) / share,
            )
        )

    def _where_to_follow_from(self, past: ParallelReader) -> Position:
        query = self._origin.starting(max(self._origin.start, self._end))
        # What an earlier run has settled of it does not come again.
        settled = {*past.known, *self._start.recent, *self._start.settled}
        return Position(
            query=query.wire,
            origin=self._origin.wire,
            settled=tuple(key for key in settled if key[1] >= query.start),
        )

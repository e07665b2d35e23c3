"""Reads what is old in windows, several at once, and then follows the rest."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import msgspec

from ..errors import ClosedError
from ..models import Position
from ..tasks import Runtime
from ..telemetry import BackfillProgress
from ..wire.query import Query
from .parallel import ParallelReader
from .reader import OVERLAP, PageReader
from .reading import Reading
from .versions import (
    StoredVersion,
    all_stored,
    recent_in,
    settled_in,
    since,
    with_versions,
)
from .watermark import TOLERANCE
from .windows import Window, Windows

READERS = 5
"""How many windows are read at once: the limit lets a request leave each 0.2 s, so five are under
way when a response takes a second."""


class BackfillReader:
    """Reads a query in windows up to a little before now, then follows from there.

    With one reader, or a position that lies beyond the windows, it follows from the start.
    """

    def __init__(
        self,
        *,
        start: Position,
        readers: int,
        open_reader: Callable[[Position], PageReader],
        server_now: Callable[[], datetime | None],
        runtime: Runtime,
    ) -> None:
        self._readers = readers
        self._open_reader = open_reader
        self._server_now = server_now
        self._runtime = runtime
        self._clock = runtime.clock
        self.ended = False
        self._closed = False
        self.start_at(start)

    def start_at(self, start: Position) -> None:
        self._start = start
        self._origin = Query.from_wire(start.origin)
        self._windowed: ParallelReader | None = None
        self._began_no_earlier_than: datetime | None = None
        self._disorder = start.disorder
        self._beyond_the_seam: list[StoredVersion] = []
        self._sessions = 0
        self._handed_over = 0  # pages
        self._left_at = 0.0  # when the last one was
        self._busy_elsewhere = 0.0  # seconds in all until the next one was asked for
        self._reported_until: datetime | None = None
        fresh = start.query == start.origin and start.cursor is None
        self._follower: PageReader | None = None
        if self._window_under_way is None and not (fresh and self._readers > 1):
            self._follower = self._open_reader(start)

    @property
    def wait(self) -> float:
        return 0.0 if self._follower is None else self._follower.wait

    async def read(self) -> Reading:
        if self._follower is None:
            if self._closed:
                raise ClosedError("the stream is closed")
            windowed = self._windowed = self._windowed or self._open_windows()
            if not windowed.ended:
                self._busy_elsewhere += self._clock.monotonic() - self._left_at
                reading = self._process(await windowed.read(), windowed)
                self._left_at = self._clock.monotonic()
                return reading
            self._follower = self._open_reader(self._where_to_follow_from(windowed))
        reading = await self._follower.read()
        self.ended = self._follower.ended
        return reading

    async def aclose(self) -> None:
        self._closed = True
        for reader in (self._windowed, self._follower):
            if reader is not None:
                await reader.aclose()

    def abandon(self) -> None:
        for reader in (self._windowed, self._follower):
            if reader is not None:
                reader.abandon()

    @property
    def _window_under_way(self) -> Window | None:
        """The window in which an earlier run stopped, if it stopped in one."""
        query = Query.from_wire(self._start.query)
        if query.end is None or query.end == self._origin.end:
            return None
        return query.start, query.end

    def _open_windows(self) -> ParallelReader:
        """Return a reader of the windows that are left.

        They end a little before now: what is younger may still change while it is read, or become
        visible late, and is left to the follower.
        """
        now, self._began_at = self._clock.now(), self._clock.monotonic()
        self._left_at = self._began_at
        under_way = self._window_under_way
        begins = self._origin.start if under_way is None else under_way[1]
        end = (now - OVERLAP).replace(microsecond=now.microsecond // 1000 * 1000)  # as can be sent
        self._end = end if self._origin.end is None else min(end, self._origin.end)
        windowed = ParallelReader(
            Windows(begins, self._end, readers=self._readers),
            readers=self._readers,
            open_reader=partial(self._open_window, self._origin),
            tasks=self._runtime.tasks,
        )
        # A server that counts a window's end as part of it has already sent what lies there.
        windowed.known.update(settled_in(self._start))
        windowed.known.update(since(begins, recent_in(self._start)))
        if under_way is not None:
            windowed.resume(under_way, self._open_reader(self._start))
        return windowed

    def _learn(self, reading: Reading) -> None:
        """Learn from a page when we began by the server's clock, for ours may be wrong.

        A ``Date`` says it, on whichever answer one comes first. Without one, it was no earlier than
        the newest time read, less what has passed since we began.
        """
        self._disorder = max(self._disorder, reading.disorder)
        passed = timedelta(seconds=self._clock.monotonic() - self._began_at)
        if (server_now := self._server_now()) is not None:
            self._began_no_earlier_than = server_now - passed
        elif times := reading.batch.times:
            before = self._began_no_earlier_than
            began = max(times) - passed
            self._began_no_earlier_than = began if before is None else max(before, began)
        read = (*self._beyond_the_seam, *all_stored(since(self._seam, reading.entries)))
        self._beyond_the_seam = since(self._seam, read)

    @property
    def _seam(self) -> datetime:
        """Return where to follow from: all before was certainly read after it could be seen."""
        if self._began_no_earlier_than is None:
            return self._origin.start
        seam = self._began_no_earlier_than - OVERLAP - self._disorder
        # A minute less of overlap does no harm, and reading the seam twice would.
        seam = self._end if self._end - seam <= TOLERANCE else seam
        return max(self._origin.start, seam)

    def _open_window(self, origin: Query, window: Window) -> PageReader:
        query = origin.within(*window)
        return self._open_reader(Position(query=query.wire, origin=origin.wire))

    def _process(self, reading: Reading, windowed: ParallelReader) -> Reading:
        self._learn(reading)
        self._sessions += len(reading.entries)
        self._handed_over += 1
        self.ended = windowed.ended and self._seam == self._origin.end
        self._report_progress(windowed)
        # A window's last page is not the last page of all.
        reading = msgspec.structs.replace(reading, has_next_page=not self.ended)
        if Query.from_wire(reading.query).start <= self._seam:
            return reading
        # As far as is known, this window has yet to begin, or something before it has yet to become
        # visible. A position in it would mean that all before it was read; so it stays where it is.
        return msgspec.structs.replace(reading, query="", cursor=None, moved=False)

    def _report_progress(self, windowed: ParallelReader) -> None:
        until = windowed.until
        if until is None or until == self._reported_until:
            return
        self._reported_until = until
        begins = Query.from_wire(self._start.query).start
        share = (until - begins) / (max(self._end, until) - begins)
        seconds = self._clock.monotonic() - self._began_at
        pages_left, may_be_more = windowed.pages_left
        self._runtime.observe(
            BackfillProgress(
                windows=windowed.windows,
                sessions=self._sessions,
                until=until,
                share=share,
                # Whatever takes longer: reading them, or what is done with them.
                seconds_left=max(
                    seconds * pages_left / windowed.pages,
                    self._busy_elsewhere * (pages_left + windowed.waiting) / self._handed_over,
                ),
                at_least=may_be_more or self._seam != self._origin.end,
            )
        )

    def _where_to_follow_from(self, windowed: ParallelReader) -> Position:
        query = self._origin.starting(self._seam)
        # What was read of it already, now or by an earlier run, is not delivered again.
        known = [
            *self._beyond_the_seam,
            *all_stored(windowed.known),
            *recent_in(self._start),
            *settled_in(self._start),
        ]
        settled = since(query.start, known)
        position = Position(query=query.wire, origin=self._origin.wire, disorder=self._disorder)
        return with_versions(position, settled=settled)

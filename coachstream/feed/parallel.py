"""Reads windows of time in parallel, and hands their pages over in the windows' order.

One reader waits a round trip for each page; several, each in a window of its own, are bounded only
by the rate limit. Since pages are handed over in order, a driver's sessions keep their order, and
a position is a cursor in one window with all windows before it done.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime

import anyio
import msgspec

from ..errors import ClosedError, CursorLoopError
from ..tasks import BackgroundTasks, DetachedTask
from .reader import PageReader
from .reading import Reading
from .recent import Batch
from .versions import VersionSet, key_of, since
from .windows import Window, Windows

AHEAD = 4 * 1024 * 1024
"""Bytes of pages, per reader, that may wait to be handed over."""


class _WindowRead:
    """One window: being read, or read and waiting to be handed over."""

    def __init__(self, window: Window, reader: PageReader, tasks: BackgroundTasks) -> None:
        self.window = window
        self.reader = reader
        self.task: DetachedTask[None] = DetachedTask(tasks)
        self.busy = False
        self.failure: Exception | None = None
        self.repeats = False
        """Whether that is because the server repeats another window's page."""
        self.readings: deque[Reading] = deque()
        self.pages = 0.0
        """How many it had so far; the last one is, on average, half a page."""
        self.times: tuple[datetime, datetime] | None = None
        """The earliest and the latest of its times so far."""

    @property
    def pages_left(self) -> float | None:
        """About how many pages it has yet to bring; None: nothing of it has been read."""
        if self.reader.ended:
            return 0.0
        if self.times is None:
            return None
        first, last = self.times
        read = max((last - first).total_seconds(), 1.0)
        return max(1.0, self.pages / read * (self.window[1] - last).total_seconds())

    def learn(self, reading: Reading) -> None:
        """Take in a page."""
        self.pages += 1.0 if reading.has_next_page else 0.5 * bool(reading.entries)
        if reading.batch.times:
            times = (*(self.times or ()), *reading.batch.times)
            self.times = min(times), max(times)

    def holds(self, times: Iterable[datetime]) -> bool:
        """Return whether all of these times lie in the window, or at its end."""
        start, end = self.window
        return all(start <= time <= end for time in times)


class ParallelReader:
    """The pages of a stretch of time."""

    def __init__(
        self,
        plan: Windows,
        *,
        readers: int,
        open_reader: Callable[[Window], PageReader],
        tasks: BackgroundTasks,
    ) -> None:
        self._plan = plan
        self._readers = readers
        self._open_reader = open_reader
        self._tasks = tasks
        self._open: list[_WindowRead] = []  # in the windows' order
        self._waiting = 0  # bytes of pages that wait to be handed over
        self._changed = anyio.Event()
        self._closed = False
        self._first_pages: dict[Hashable, tuple[Window, bool]] = {}  # and whether they belong there
        self.known = VersionSet()
        """Versions that were settled before; they are dropped when they come."""
        self.windows = 0
        """Windows handed over."""
        self.pages = 0
        """Pages read."""
        self.until: datetime | None = None
        """The end of the last of them."""

    def resume(self, window: Window, reader: PageReader) -> None:
        """Begin with a window that an earlier run has read in part; ``reader`` reads the rest."""
        read = _WindowRead(window, reader, self._tasks)
        read.pages = 1.0  # something of it was handed over, so it can't be given back
        self._open.append(read)

    @property
    def waiting(self) -> int:
        """How many of them wait to be handed over."""
        return sum(len(read.readings) for read in self._open)

    @property
    def pages_left(self) -> tuple[float, bool]:
        """About how many pages are to be read, and whether there may be many more.

        There may be where nothing has been read yet: how much lies there nobody knows.
        """
        in_windows = [read.pages_left for read in self._open]
        known = sum(pages for pages in in_windows if pages is not None)
        return known + self._plan.pages_left, None in in_windows or bool(self._plan)

    @property
    def ended(self) -> bool:
        """Whether all of it has been handed over."""
        return not self._open and not self._plan

    async def read(self) -> Reading:
        """Return the next page, while there is one.

        Raises:
            ClosedError: this was closed meanwhile.
            CoachStreamError: a request failed for good; the next call tries again.
        """
        while True:
            if self._closed:
                raise ClosedError("the stream is closed")
            self._start_readers()
            for read in self._open:
                if read.repeats:  # then no other window is right
                    raise self._failure(read)
            head = self._open[0]
            # What was given back comes before what lies after it.
            if not self._plan.begins_before(head.window[0]):
                if head.readings:
                    return self._hand_over(head)
                if head.failure is not None:
                    raise self._failure(head)
            await self._changed.wait()
            self._changed = anyio.Event()

    def _failure(self, read: _WindowRead) -> Exception:
        """Return why a window failed, so that it is read again if somebody reads on."""
        failure, read.failure, read.repeats = read.failure, None, False
        assert failure is not None
        return failure

    async def aclose(self) -> None:
        """Cancel what is under way, and read no more."""
        self._closed = True
        self._changed.set()
        for read in self._open:
            await read.task.cancel()
            await read.reader.aclose()

    def abandon(self) -> None:
        """Cancel what is under way without waiting; from any thread."""
        self._closed = True
        for read in tuple(self._open):
            read.task.abandon()
            read.reader.abandon()

    def _start_readers(self) -> None:
        """Read as many windows as there are readers, while there is room for their pages."""
        idle = self._readers - sum(read.busy for read in self._open)
        for read in self._open:
            resting = not (read.busy or read.reader.ended or read.failure)
            if idle > 0 and resting and self._has_room(read):
                self._start(read)
                idle -= 1
        while idle > 0 and self._wants_another() and (window := self._plan.take()):
            self._open_window(window)
            idle -= 1

    def _open_window(self, window: Window) -> None:
        read = _WindowRead(window, self._open_reader(window), self._tasks)
        insort(self._open, read, key=lambda one: one.window)
        self._start(read)

    def _has_room(self, read: _WindowRead) -> bool:
        # The first window may always be read on, or one with very many pages would never end.
        first = read is self._open[0] and not read.readings
        return first or self._waiting < AHEAD * self._readers

    def _wants_another(self) -> bool:
        first = not self._open or self._plan.begins_before(self._open[0].window[0])
        return first or self._waiting < AHEAD * self._readers

    def _start(self, read: _WindowRead) -> None:
        read.task.begin(self._read_window(read))  # raises if the client is closed
        read.busy = True

    async def _read_window(self, read: _WindowRead) -> None:
        try:
            while not read.reader.ended and self._has_room(read):
                reading = await read.reader.read()
                if not read.pages:
                    await self._refuse_repetition(read, reading)
                if await self._gave_back(read, reading):
                    return
                read.readings.append(reading)
                self._waiting += reading.size
                read.learn(reading)
                self.pages += 1
                self._changed.set()
            if read.reader.ended:
                start, end = read.window
                self._plan.learn(end - start, read.pages)
        except Exception as error:  # noqa: BLE001  # raised by `read`, in the windows' order
            read.failure = error
        finally:
            read.busy = False
            self._changed.set()

    async def _refuse_repetition(self, read: _WindowRead, reading: Reading) -> None:
        """Raise if another window begins with the same page, so that one of them can't be right.

        Such a server takes no notice of the times, and every window would bring the same.
        """
        if not reading.entries:
            return
        first, last = reading.entries[0], reading.entries[-1]
        mark = len(reading.entries), key_of(first), key_of(last)
        belongs = read.holds(reading.batch.times)
        window, belonged = self._first_pages.setdefault(mark, (read.window, belongs))
        if window == read.window or (belongs and belonged):
            return
        await read.reader.aclose()
        read.reader = self._open_reader(read.window)  # which asks for that page again
        read.repeats = True
        raise CursorLoopError(
            "the server returns the same page for different times, as if it ignored startTime"
        )

    async def _gave_back(self, read: _WindowRead, reading: Reading) -> bool:
        """Give a window back if very many pages are to come and none has been handed over.

        What lies before the page's first session is read as a window of its own: it is empty, if
        the server keeps to the order of time.
        """
        times = sorted(reading.batch.times)
        if read.pages or not times or not reading.has_next_page:
            return False
        middle = self._plan.cut_again(read.window, times[0], times[-1])
        if middle is None:
            return False
        await read.reader.aclose()
        self._open.remove(read)
        if read.window[0] < middle:
            self._open_window((read.window[0], middle))
        return True

    def _hand_over(self, read: _WindowRead) -> Reading:
        reading = read.readings.popleft()
        self._waiting -= reading.size
        entries, settled = self.known.split(reading.entries)
        self.known.discard(settled)
        if read.reader.ended and not read.readings:
            self._open.remove(read)
            self.windows += 1
            self.until = read.window[1]
        # A server that counts a window's end as part of it sends what lies there twice.
        self.known.update(since(read.window[1], reading.entries))
        if not settled:
            return reading
        repeated = (*reading.repeated, *settled)
        batch = Batch(entries)
        return msgspec.structs.replace(reading, entries=entries, batch=batch, repeated=repeated)

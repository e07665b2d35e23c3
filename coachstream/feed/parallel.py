"""Reads the past by windows, several at once, and hands the pages over in the windows' order.

One reader waits a round trip for each page; several, each in a window of its own, are only bound
by the rate limit. Handed over in order, a driver's sessions keep theirs, and a place in the past is
a cursor in one window with all windows before it done.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable
from datetime import datetime

import anyio
import msgspec

from ..errors import ClosedError
from ..tasks import Background, Ongoing
from .reader import PageReader
from .reading import Key, Reading, keys
from .windows import Window, Windows

AHEAD = 4 * 1024 * 1024
"""Bytes of pages, per reader, that may wait for their turn to be handed over."""


class _Work:
    """The work on a window: being read, or read and waiting for its turn."""

    def __init__(self, window: Window, reader: PageReader, background: Background) -> None:
        self.window = window
        self.reader = reader
        self.under_way: Ongoing[None] = Ongoing(background)
        self.busy = False
        self.failure: Exception | None = None
        self.readings: deque[Reading] = deque()
        self.pages = 0.0
        """How many it had so far; the last one is, on average, half a page."""


class ParallelReader:
    """The pages of a stretch of time."""

    def __init__(
        self,
        plan: Windows,
        *,
        readers: int,
        open_reader: Callable[[Window], PageReader],
        background: Background,
    ) -> None:
        self._plan = plan
        self._readers = readers
        self._open_reader = open_reader
        self._background = background
        self._open: list[_Work] = []  # in the windows' order
        self._waiting = 0  # bytes of pages that wait for their turn
        self._changed = anyio.Event()
        self._closed = False
        self.known: set[Key] = set()
        """Versions that were settled ahead of their turn, to be dropped when they come."""
        self.windows = 0
        """Windows handed over."""
        self.until: datetime | None = None
        """The end of the last of them."""

    def take_up(self, window: Window, reader: PageReader) -> None:
        """Begin with a window that was left in the middle of it; ``reader`` goes on there."""
        work = _Work(window, reader, self._background)
        work.pages = 1.0  # of which something was handed over, so that it can't be given back
        self._open.append(work)

    @property
    def ended(self) -> bool:
        """Whether all of it has been handed over."""
        return not self._open and not self._plan

    async def read(self) -> Reading:
        """Return the next page, while there is one.

        Raises:
            ClosedError: this was closed meanwhile.
            CoachStreamError: what stands in the way; asked again, it tries again.
        """
        while True:
            if self._closed:
                raise ClosedError("the stream is closed")
            self._set_to_work()
            head = self._open[0]
            # What was given back comes before what lies after it.
            if not self._plan.begins_before(head.window[0]):
                if head.readings:
                    return self._hand_over(head)
                if head.failure is not None:
                    failure, head.failure = head.failure, None
                    raise failure
            await self._changed.wait()
            self._changed = anyio.Event()

    async def aclose(self) -> None:
        """End what is under way, and begin nothing more."""
        self._closed = True
        self._changed.set()
        for work in self._open:
            await work.under_way.cancel()
            await work.reader.aclose()

    def abandon(self) -> None:
        """End it soon; from any thread."""
        self._closed = True
        for work in tuple(self._open):
            work.under_way.abandon()
            work.reader.abandon()

    def _set_to_work(self) -> None:
        """Have as many windows read as there are readers, while there is room for their pages."""
        idle = self._readers - sum(work.busy for work in self._open)
        for work in self._open:
            resting = not (work.busy or work.reader.ended or work.failure)
            if idle > 0 and resting and self._has_room(work):
                self._begin(work)
                idle -= 1
        while idle > 0 and self._wants_another() and (window := self._plan.take()):
            self._open_window(window)
            idle -= 1

    def _open_window(self, window: Window) -> None:
        work = _Work(window, self._open_reader(window), self._background)
        insort(self._open, work, key=lambda one: one.window)
        self._begin(work)

    def _has_room(self, work: _Work) -> bool:
        # The first may always go on, or a window of very many pages would never end.
        first = work is self._open[0] and not work.readings
        return first or self._waiting < AHEAD * self._readers

    def _wants_another(self) -> bool:
        first = not self._open or self._plan.begins_before(self._open[0].window[0])
        return first or self._waiting < AHEAD * self._readers

    def _begin(self, work: _Work) -> None:
        work.busy = True
        work.under_way.begin(self._read_window(work))

    async def _read_window(self, work: _Work) -> None:
        try:
            while not work.reader.ended and self._has_room(work):
                reading = await work.reader.read()
                if await self._gave_back(work, reading):
                    return
                work.readings.append(reading)
                self._waiting += reading.size
                work.pages += 1.0 if reading.has_next_page else 0.5 * bool(reading.entries)
                self._changed.set()
            if work.reader.ended:
                start, end = work.window
                self._plan.learn(end - start, work.pages)
        except Exception as error:  # noqa: BLE001  # raised to whoever reads, in its turn
            work.failure = error
        finally:
            work.busy = False
            self._changed.set()

    async def _gave_back(self, work: _Work, reading: Reading) -> bool:
        """Give a window back if very many pages are to come and none has been handed over.

        What lies before the page's first session is read as a window of its own: it is empty, if
        the server keeps to the order of time.
        """
        times = sorted(key[1] for key in keys(reading.entries))
        if work.pages or not times or not reading.has_next_page:
            return False
        middle = self._plan.cut_again(work.window, times[0], times[-1])
        if middle is None:
            return False
        await work.reader.aclose()
        self._open.remove(work)
        if work.window[0] < middle:
            self._open_window((work.window[0], middle))
        return True

    def _hand_over(self, work: _Work) -> Reading:
        reading = work.readings.popleft()
        self._waiting -= reading.size
        entries = reading.entries
        if self.known:
            entries = tuple(e for e in entries if self.known.isdisjoint(keys((e,))))
            self.known.difference_update(keys(reading.entries))
        if work.reader.ended and not work.readings:
            self._open.remove(work)
            self.windows += 1
            self.until = work.window[1]
        # A server that takes a window's end to be part of it tells what lies there twice.
        self.known.update(key for key in keys(reading.entries) if key[1] >= work.window[1])
        return msgspec.structs.replace(reading, entries=entries)

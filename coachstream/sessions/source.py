"""Where a stream's pages come from: a reader that resumes from a saved position, and saves it."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import anyio

from ..errors import ClosedError, InvalidArgumentError, SaveRolledBackError, StreamInUseError
from ..feed.health import HealthMonitor
from ..feed.reader import Reader
from ..feed.reading import Reading
from ..models import Position
from ..progress.checkpointer import LAST_SAVE, Checkpointer
from ..progress.frontier import Frontier
from ..tasks import DetachedTask, Runtime
from ..telemetry import Observer, StreamEnded
from ..wire.query import Query


class StreamSource:
    """The readings of one stream, and the frontier they are settled at."""

    def __init__(
        self,
        *,
        query: Query,
        start: Position,
        reader: Reader,
        monitor: HealthMonitor,
        runtime: Runtime,
        checkpointer: Checkpointer | None,
    ) -> None:
        self.query = query
        self.monitor = monitor
        self.checkpointer = checkpointer
        self.frontier = Frontier(start)
        self.used = False
        """Whether anything has been read, or a consumer has taken over."""
        self.closed = False
        """Whether it has ended or was closed."""
        self._reader = reader
        self._runtime = runtime
        self._loaded = checkpointer is None
        self._store_access: DetachedTask[None] = DetachedTask(runtime.tasks)
        self._busy = False
        self._on_close: Callable[[], None] | None = None

    async def next(self) -> Reading:
        """Return what is read next.

        Raises:
            StopAsyncIteration: there is no more, or this was closed.
            StreamInUseError: another task is reading.
            CoachStreamError: a request failed for good; the next call tries again.
        """
        self.used = True
        if self._reader.ended:
            await self._close()
        if self.closed:
            raise StopAsyncIteration
        self.monitor.resumed()
        try:
            with self.exclusive():
                if self.checkpointer is not None:
                    await self._load_or_save(self.checkpointer)
                reading = await self._reader.read()
        except StreamInUseError:
            raise
        except ClosedError:
            if self.closed:
                raise StopAsyncIteration from None
            raise
        except Exception as error:
            self._runtime.observe(StreamEnded(error=error))
            raise
        if self.closed:
            raise StopAsyncIteration
        return reading

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let one task at a time in.

        Raises:
            StreamInUseError: another one is inside.
        """
        if self._busy:
            raise StreamInUseError("another task is waiting for this stream's next session")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    async def _load_or_save(self, checkpointer: Checkpointer) -> None:
        """Load the position before the first page; later save it when due, and before a wait."""
        if not self._loaded:
            await self._store_access.result(partial(self._load, checkpointer))
        elif not checkpointer.in_transactions and (checkpointer.due or self._reader.wait > 0):
            await self._store_access.result(partial(checkpointer.save, self.frontier.position))

    async def _load(self, checkpointer: Checkpointer) -> None:
        start = await checkpointer.load(self.query)
        self._loaded = True
        self.frontier = Frontier(start)
        self._reader.start_at(start)

    async def aclose(self) -> None:
        """Read no more, and save what is settled; twice is harmless."""
        if self._on_close is not None:
            self._on_close()
        await self._close()

    async def _close(self) -> None:
        if self.closed:
            return
        self.closed = True
        with anyio.move_on_after(LAST_SAVE, shield=True):
            await self._store_access.cancel()
            await self._reader.aclose()
        self._runtime.observe(StreamEnded())
        if self.checkpointer is not None:
            with suppress(SaveRolledBackError):  # then what is stored is right, and stays
                await self.checkpointer.finish(self.frontier.position if self._loaded else None)

    def abandon(self) -> None:
        """Cancel what is under way without waiting; from any thread."""
        self._store_access.abandon()
        self._reader.abandon()

    # For the consumer, which saves and settles by itself

    async def begin_with(
        self, checkpointer: Checkpointer, on_close: Callable[[], None]
    ) -> Frontier:
        """Load the position; return the frontier, which the caller settles from now on.

        ``on_close`` is called when somebody closes the stream.
        """
        if self.checkpointer is not None:
            raise InvalidArgumentError("stream", "give name and store to consume(), not to it")
        if self.used or self.closed:
            raise InvalidArgumentError("stream", "it is begun already; make a new one")
        self.used = True
        self._on_close = on_close
        await self._load(checkpointer)
        return self.frontier

    def observing(self, observer: Observer) -> Observer:
        """Return an observer through which the consumer's events count for this stream's health."""
        return self.monitor.observing(observer, self._runtime.clock)

    async def readings(self) -> AsyncGenerator[Reading, None]:
        """Yield what is read, without settling anything."""
        with suppress(StopAsyncIteration):
            while True:
                yield await self.next()

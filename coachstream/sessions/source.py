"""Where a stream's pages come from: a reader that resumes from a saved position, and saves it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from functools import partial

from ..checkpoints.connections import in_transaction
from ..errors import ClosedError, InvalidArgumentError, MalformedSessionError, StreamInUseError
from ..feed.health import HealthMonitor
from ..feed.reading import Reader, Reading
from ..models import Position
from ..progress.checkpointer import LAST_SAVE, Checkpointer
from ..progress.frontier import Frontier
from ..retry import RetryPolicy
from ..tasks import DetachedTask, Exclusive, Runtime, close_all
from ..telemetry import Observer, StreamEnded
from ..wire.query import Query
from .hand import Hand, Loop
from .malformed import MalformedSettler, OnMalformed
from .saver import Saver

IN_USE = (
    "another task is waiting for this stream's next session; to handle many at once, use consume()"
)


class StreamSource:
    """The readings of one stream, what of them is in hand, and the frontier they are settled at."""

    def __init__(
        self,
        *,
        query: Query,
        start: Position,
        reader: Reader,
        monitor: HealthMonitor,
        runtime: Runtime,
        retry: RetryPolicy,
        on_malformed: OnMalformed | None,
        by_ack: bool,
        checkpointer: Checkpointer | None,
        siblings: set["StreamSource"],
    ) -> None:
        self.query = query
        self.monitor = monitor
        self.retry = retry  # how patient the client is
        self.on_malformed = on_malformed
        self.checkpointer = checkpointer
        self.frontier = Frontier(start)
        self.hand = Hand(by_ack=by_ack)
        self.used = False
        """Whether anything has been read, or a consumer has taken over."""
        self.closed = False  # whether it has ended or was closed
        self.dropped = False  # whether nobody holds the stream any more
        self.finished = asyncio.Event()  # set when closing is over
        self.overtaken = False
        """Whether a later stream of the client has resumed from the same saved position."""
        self.place = None if checkpointer is None else checkpointer.place
        """Where the position is saved."""
        self._reader = reader
        self._runtime = runtime
        self._store_wait: DetachedTask[None] = DetachedTask(runtime.tasks)
        self._loaded = False
        self._siblings = siblings  # streams of the client that have loaded and will save
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._exclusive = Exclusive(IN_USE)
        self._settler = MalformedSettler(on_malformed, runtime)
        self._on_close: Callable[[], None] | None = None
        self._client_closed = False
        self._saved_by = checkpointer  # the consumer's, if there is one
        self._saver: Saver | None = None
        if checkpointer is not None:
            self._saver = Saver(
                checkpointer,
                position=lambda: self.position,
                unfinished=lambda: self.hand.unfinished,
                runtime=runtime,
            )

    @property
    def position(self) -> Position:
        """How far the user has come."""
        self.hand.settle(self.frontier)
        return self.frontier.position

    async def next(self) -> Reading:
        """Return what is read next.

        Raises:
            StopAsyncIteration: there is no more, or this was closed.
            ClosedError: the client was closed.
            StreamInUseError: another task is reading.
            CoachStreamError: a request failed for good; the next call tries again.
            Exception: what kept the position from being loaded or saved for good.
        """
        self.used = True
        if self._reader.ended and not self.hand.unfinished:
            await self._close()
        if self.closed or self._reader.ended:
            raise self.no_more()
        self.monitor.resumed()
        try:
            with self._exclusive:
                await self._load_or_save()
                reading = await self._reader.read()
        except StreamInUseError:
            raise
        except Exception as error:
            if isinstance(error, ClosedError) and self.closed:
                raise self.no_more() from None
            self._runtime.observe(StreamEnded(error=error))
            raise
        if self.closed:
            raise self.no_more()
        if self._saver is not None and reading.entries:
            self._saver.begin()  # a failure has to wait, or this reading would be lost
        return reading

    def no_more(self) -> Exception:
        """Return what a step raises after the end. That of the client must not look like one."""
        return ClosedError("the client is closed") if self._client_closed else StopAsyncIteration()

    # For loops

    def begin(self, loop: Loop) -> None:
        """Hand sessions out to a newer loop from now on.

        Raises:
            StreamInUseError: another task is reading, or a newer loop has begun.
        """
        self._exclusive.check()
        self.hand.begin(loop)

    async def turn_page(self) -> None:
        """Put the page in hand away and take the next; see `next` for what is raised."""
        self._exclusive.check()
        if not self.hand.turn(self.frontier):
            reading = await self.next()
            self.hand.take(self.frontier.open(reading))

    async def settle_malformed(self, error: MalformedSessionError) -> None:
        """Let ``on_malformed`` settle it, or else raise it; see `next` for what is raised."""
        with self._exclusive:
            await self._settler.settle(error)
        if self.closed:
            raise self.no_more()

    async def ack(self, on: object | None) -> None:
        """Settle all that was handed out, and save it; see `SessionStream.ack`."""
        connection = None
        if on is not None:
            if self.checkpointer is None:
                raise InvalidArgumentError("on", "the stream has no store to save in")
            if not self.hand.by_ack:
                raise InvalidArgumentError("on", 'needs a stream with settle="ack"')
            self.checkpointer.postgres  # noqa: B018  # raises if the store is none
            connection = await in_transaction(on)
        self.hand.ack(self.frontier)
        if self.checkpointer is None or self._saver is None:
            return
        if connection is not None:
            await self._saver.stop()
            await self.checkpointer.save(self.position, on=connection)
        elif self.closed or self.checkpointer.due or self.checkpointer.in_transaction:
            await self.checkpointer.save(self.position)
        else:  # a save writes the keys of all settled sessions of the page
            self._saver.check()
            self._saver.begin()

    # Loading and saving

    async def _load_or_save(self) -> None:
        """Load the position before the first page; later save before a wait."""
        if self._saver is not None:
            if not self._loaded:
                await self._store_wait.result(self._load)
            self._saver.check()
            self._saver.begin(at_once=self._reader.wait > 0)
        if self._saved_by is not None and not self._saved_by.answers:
            await self._store_wait.result(self._saved_by.until_it_answers)

    async def _load(self) -> None:
        """Load the position, and take it over from earlier streams of this client."""
        assert self.checkpointer is not None
        self._event_loop = asyncio.get_running_loop()
        same = [one for one in self._siblings if one.place == self.place]
        for sibling in same:
            if sibling.closed or sibling.dropped:
                await sibling.finished.wait()
        for sibling in same:
            sibling.overtaken = True
        try:
            await self._resume(self.checkpointer)
        except BaseException:
            for sibling in same:
                sibling.overtaken = False
            raise
        self._siblings.add(self)

    async def _resume(self, checkpointer: Checkpointer) -> None:
        start = await checkpointer.load(self.query)
        self._loaded = True
        self.frontier = Frontier(start)
        self._reader.start_at(start)

    async def aclose(self) -> None:
        """Read no more, and save what is settled; twice is harmless."""
        if self._on_close is not None:
            self._on_close()
        await self._close()

    async def close_with_client(self) -> None:
        """Do the same because the client closes: a later step, or a consumer, raises."""
        self._client_closed = not self.closed or self._client_closed
        await self._close()

    async def _close(self) -> None:
        if self.closed:
            await self.finished.wait()
            return
        self.closed = True
        self._settler.close()
        self._runtime.observe(StreamEnded())
        try:
            await self._finish()
        except Exception as error:
            self._runtime.observe(StreamEnded(error=error))
            raise
        finally:
            self.finished.set()
            self._siblings.discard(self)

    async def _finish(self) -> None:
        if self.checkpointer is None or self._saver is None:
            closers = (self._store_wait.cancel, self._reader.aclose)
            await close_all(closers, self._runtime, within=LAST_SAVE)
            return
        await self.checkpointer.finish(
            None if self.overtaken else self.position,
            self._store_wait.cancel,
            self._saver.stop,
            self._reader.aclose,
        )

    def abandon(self) -> None:
        """Close without waiting; from any thread, such as a garbage collector's."""
        self._store_wait.abandon()
        self._reader.abandon()
        self.dropped = True
        if self._event_loop is not None and not self.closed:
            with suppress(RuntimeError):  # the loop is closed
                self._event_loop.call_soon_threadsafe(self._close_behind)

    def _close_behind(self) -> None:
        with suppress(ClosedError):  # the client has closed it
            self._runtime.tasks.start(self._close())  # a failure is reported

    # For the consumer, which saves and settles by itself

    def observing(self, observer: Observer) -> Observer:
        """Return an observer through which the stream's health hears of a consumer."""
        return self.monitor.observing(observer, self._runtime.clock)

    async def begin_with(
        self, checkpointer: Checkpointer, on_close: Callable[[], None]
    ) -> Frontier:
        """Load the position; return the frontier, which the caller settles from now on.

        ``on_close`` is called when somebody closes the stream, which also ends the loading.
        """
        if self.checkpointer is not None:
            raise InvalidArgumentError("stream", "has name and store; pass them to consume()")
        if self.used or self.closed:
            raise InvalidArgumentError("stream", "was already used or closed; create a new one")
        self.used = True
        self._on_close = on_close
        self._saved_by = checkpointer
        try:
            await self._store_wait.result(partial(self._resume, checkpointer))
        except ClosedError:
            if not self.closed:
                raise
        finally:
            await self._store_wait.cancel()
        return self.frontier

    async def readings(self) -> AsyncGenerator[Reading, None]:
        """Yield what is read, without settling anything."""
        with suppress(StopAsyncIteration):
            while True:
                yield await self.next()

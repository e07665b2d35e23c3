"""One run of a consumer: read, hand out to handlers, settle, save, stop."""

import asyncio
from collections.abc import Callable, Hashable
from contextlib import aclosing

import anyio
import anyio.lowlevel
import msgspec

from ..clock import Clock
from ..errors import MalformedSessionError
from ..feed import lag
from ..feed.reading import Reading
from ..models import CoachingSession, Position
from ..progress.checkpointer import INTERVAL, Checkpointer
from ..progress.frontier import OpenPage
from ..telemetry import ConsumerStopped, HandlersStalled, Observer, ReadingPaused
from .failures import Failures
from .lanes import Lanes
from .ledger import Handler
from .source import Source

STALLED = 60.0
"""Seconds without a finished handler after which that is told, while we wait for one."""
RESUME_SHARE = 0.8
"""Reading that was paused at a bound goes on below this share of it, lest it stutter."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer has done."""

    handled: int
    given_up: int
    """Sessions skipped or parked."""
    left: int
    """Sessions that were read and not settled; they come again."""
    position: Position
    """What was saved last."""


class _Job(msgspec.Struct, gc=False):
    """One session on its way through its lane."""

    session: CoachingSession
    page: OpenPage
    index: int
    attempt: int = 1


class Consumer:
    """One run of `consume`: reads, hands out, settles, saves."""

    def __init__(
        self,
        *,
        name: str,
        source: Source,
        handler: Handler,
        key: Callable[[CoachingSession], Hashable],
        failures: Failures,
        checkpointer: Checkpointer,
        concurrency: int,
        max_open: int,
        max_open_bytes: int,
        drain_timeout: float,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._name = name
        self._source = source
        self._handler = handler
        self._key = key
        self._failures = failures
        self._checkpointer = checkpointer
        self._concurrency = concurrency
        self._max_open = max_open
        self._max_open_bytes = max_open_bytes
        self._drain_timeout = drain_timeout
        self._observer = observer
        self._clock = clock
        self._lanes: Lanes[_Job] = Lanes()
        self._workers = 0
        self._newcomers = 0  # workers that have not begun
        self._retrying = 0  # sessions that wait for another try
        self._handled = 0
        self._stopping = False
        self._failure: Exception | None = None
        self._reading = anyio.CancelScope()
        self._changed = asyncio.Event()  # for the one who waits for room, or for the end
        self._dirty = asyncio.Event()  # for the one who saves

    async def run(self) -> Report:
        """Consume the source to its end."""
        try:
            frontier = await self._source.begin_with(self._checkpointer, self._leave_off)
        except BaseException:
            await self._checkpointer.finish(None)
            raise
        self._frontier = frontier
        self._dead_cursor = frontier.position.dead_cursor
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                tasks.start_soon(self._save_now_and_then)
                await self._read()
                await self._finish()
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:  # of no Exception, which would have been caught below
            raise group.exceptions[0] from None
        finally:
            await self._stop()
        if self._failure is not None:
            raise self._failure
        return Report(
            handled=self._handled,
            given_up=self._failures.given_up,
            left=frontier.unsettled,
            position=frontier.position,
        )

    # Reading

    async def _read(self) -> None:
        with self._reading:
            try:
                async with aclosing(self._source.readings()) as readings:
                    async for reading in readings:
                        await self._take_in(reading)
                        await self._wait_for_room()
            except Exception as error:  # noqa: BLE001  # whatever it is, it leaves consume()
                self._fail(error)

    async def _take_in(self, reading: Reading) -> None:
        page = self._frontier.open(reading)
        self._dirty.set()
        if reading.dead_cursor not in {None, self._dead_cursor}:
            # At once: were it forgotten, the dead cursor would be sent again after a crash.
            self._dead_cursor = reading.dead_cursor
            await self._checkpointer.save(self._frontier.position)
        for index, entry in enumerate(reading.entries):
            if isinstance(entry, MalformedSessionError):
                await self._failures.give_up(entry, entry, attempts=1)
                self._settle(page, index)
            else:
                self._lanes.add(self._key(entry), _Job(entry, page, index))
                self._hire()

    async def _wait_for_room(self) -> None:
        if not self._is_full(1.0):
            return
        unsettled, size = self._frontier.unsettled, self._frontier.size
        self._observer(ReadingPaused(name=self._name, unsettled=unsettled, size=size))
        while self._is_full(RESUME_SHARE):
            await self._change()

    def _is_full(self, share: float) -> bool:
        # Open sessions, not just unsettled ones: one that is stuck must not let the keys settled
        # behind it pile up without bound.
        return (
            self._frontier.open_sessions > share * self._max_open
            or self._frontier.size > share * self._max_open_bytes
        )

    async def _finish(self) -> None:
        """Wait until all is handled; or, when told to stop, for what runs, and not too long."""
        while not self._stopping and (self._lanes or self._retrying):
            await self._change()
        with anyio.move_on_after(self._drain_timeout):
            while self._workers:
                await self._change()

    async def _change(self) -> None:
        """Wait until something has been settled, or a worker has ended; tell if that takes long."""
        waited = 0.0
        while not self._changed.is_set():
            with anyio.move_on_after(STALLED):
                await self._changed.wait()
                break
            waited += STALLED
            self._observer(
                HandlersStalled(
                    name=self._name,
                    seconds=waited,
                    running=self._workers,
                    unsettled=self._frontier.unsettled,
                )
            )
        self._changed = asyncio.Event()

    # Handling

    def _hire(self) -> None:
        """Have a worker for what may start, if there is none on its way; it hires the next.

        So handlers that never wait cost one worker and not as many as may run at once.
        """
        if self._newcomers or self._stopping or not self._lanes.ready:
            return
        if self._workers < self._concurrency:
            self._workers += 1
            self._newcomers += 1
            self._tasks.start_soon(self._work)

    async def _work(self) -> None:
        self._newcomers -= 1
        try:
            if _cancelled():
                return  # a handler that never waits would not even notice
            while not self._stopping and (started := self._lanes.start()):
                self._hire()
                await self._handle(*started)
        except asyncio.CancelledError:
            self._expect_cancellation()
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it leaves consume()
            self._fail(error)
        finally:
            self._workers -= 1
            self._changed.set()

    async def _handle(self, key: Hashable, job: _Job) -> None:
        try:
            await self._call(job.session)
        except Exception as error:  # noqa: BLE001  # the policy decides on any
            if _cancelled():
                return  # then this is no failure, whatever the handler has made of it
            delay = self._failures.delay(job.session, error, job.attempt)
            if delay is not None:
                self._retrying += 1
                self._tasks.start_soon(self._try_again, key, job, delay)
                return
            await self._failures.give_up(job.session, error, job.attempt)
        else:
            self._handled += 1
            self._failures.handled()
        self._settle(job.page, job.index)
        self._lanes.done(key)

    async def _call(self, session: CoachingSession) -> None:
        try:
            await self._handler(session)
            if _was_told_to_end():
                # It swallowed its cancellation, and whether it is done, nobody knows; or it has
                # cancelled itself, and the next session shall not pay for that.
                await anyio.lowlevel.checkpoint()
        except asyncio.CancelledError:
            # Ours, or one that the handler has let out of something of its own?
            if _cancelled():
                raise
            raise RuntimeError("the handler raised CancelledError unasked") from None

    async def _try_again(self, key: Hashable, job: _Job, delay: float) -> None:
        """Wait beside the workers, so that nobody else is kept from working meanwhile."""
        await self._clock.sleep(delay)
        self._retrying -= 1
        job.attempt += 1
        self._lanes.again(key, job)
        self._hire()

    def _settle(self, page: OpenPage, index: int) -> None:
        self._frontier.settle(page, index)
        self._changed.set()
        self._dirty.set()

    # Saving and stopping

    async def _save_now_and_then(self) -> None:
        try:
            while True:
                await self._dirty.wait()
                self._dirty = asyncio.Event()
                await self._checkpointer.save(self._frontier.position)
                await lag.sleep(INTERVAL, self._clock, self._observer)
        except asyncio.CancelledError:
            self._expect_cancellation()
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it leaves consume()
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Stop for this reason; the first one counts."""
        if self._failure is None:
            self._failure = error
        self._leave_off()

    def _leave_off(self) -> None:
        """Read and begin nothing any more."""
        self._stopping = True
        self._reading.cancel()
        self._changed.set()

    def _expect_cancellation(self) -> None:
        """Fail if nobody has cancelled us: such a task would end without a word."""
        if not _cancelled():
            self._fail(RuntimeError("a CancelledError was raised, and nobody had cancelled"))

    async def _stop(self) -> None:
        """Save what is settled, also when all is being cancelled, and tell of the end."""
        try:
            try:
                await self._source.aclose()
            finally:
                await self._checkpointer.finish(self._frontier.position)
        except Exception as error:  # noqa: BLE001  # whatever it is, it leaves consume()
            self._fail(error)
        self._observer(
            ConsumerStopped(
                name=self._name,
                handled=self._handled,
                given_up=self._failures.given_up,
                left=self._frontier.unsettled,
                error=self._failure,
            )
        )


def _cancelled() -> bool:
    """Tell whether this task is being cancelled, be it by ourselves or from outside."""
    return anyio.current_effective_deadline() == float("-inf")


def _was_told_to_end() -> bool:
    """Tell the same much faster, but for a task that has not heard of it yet, or outlived it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

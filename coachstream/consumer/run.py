"""One run of a consumer: read, start handlers, settle, save, stop."""

import asyncio
from collections.abc import Callable, Hashable
from contextlib import aclosing

import anyio
import anyio.lowlevel
import msgspec

from ..errors import MalformedSessionError
from ..feed.reading import Reading
from ..models import CoachingSession
from ..progress.checkpointer import INTERVAL, Checkpointer
from ..progress.frontier import OpenPage
from ..tasks import Runtime, being_cancelled, was_cancelled
from ..telemetry import ConsumerStopped, HandlersStalled, ReadingPaused
from .bounds import Bounds
from .failures import Failures
from .lanes import Lanes
from .ledger import Handler
from .report import Report
from .source import Source

STALLED = 60.0
"""Seconds of waiting without a finished handler after which that is reported."""
RESUME_SHARE = 0.8
"""A pause at a bound ends below this share of it, so that reading does not stutter."""


class _Job(msgspec.Struct, gc=False):
    """One session on its way through its lane."""

    session: CoachingSession
    page: OpenPage
    index: int
    attempt: int = 1


class Consumer:
    """One run of `consume`."""

    def __init__(
        self,
        *,
        name: str,
        source: Source,
        handler: Handler,
        key: Callable[[CoachingSession], Hashable],
        failures: Failures,
        checkpointer: Checkpointer,
        bounds: Bounds,
        runtime: Runtime,
    ) -> None:
        self._name = name
        self._source = source
        self._handler = handler
        self._key = key
        self._failures = failures
        self._checkpointer = checkpointer
        self._bounds = bounds
        self._runtime = runtime
        self._lanes: Lanes[_Job] = Lanes()
        self._workers = 0
        self._starting = 0  # workers that have not begun
        self._retrying = 0  # sessions that wait for another attempt
        self._handled = 0
        self._stopping = False
        self._failure: Exception | None = None
        self._reading = anyio.CancelScope()
        self._changed = asyncio.Event()  # wakes who waits for room, or for the end
        self._dirty = asyncio.Event()  # wakes who saves

    async def run(self) -> Report:
        """Consume the source to its end."""
        try:
            frontier = await self._source.begin_with(self._checkpointer, self._stop_reading)
        except BaseException:
            await self._checkpointer.finish(None)
            raise
        self._frontier = frontier
        self._dead_cursor = frontier.position.dead_cursor
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                tasks.start_soon(self._save_regularly)
                await self._read()
                await self._drain()
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:  # of no Exception, which would have been caught below
            raise group.exceptions[0] from None
        finally:
            await self._close()
        if self._failure is not None:
            raise self._failure
        return Report(
            handled=self._handled,
            given_up=self._failures.given_up,
            unsettled=frontier.unsettled,
            position=frontier.position,
        )

    # Reading

    async def _read(self) -> None:
        with self._reading:
            try:
                async with aclosing(self._source.readings()) as readings:
                    async for reading in readings:
                        await self._start_page(reading)
                        await self._wait_for_room()
            except Exception as error:  # noqa: BLE001  # whatever it is, it leaves consume()
                self._fail(error)

    async def _start_page(self, reading: Reading) -> None:
        page = self._frontier.open(reading)
        self._dirty.set()
        if reading.dead_cursor not in {None, self._dead_cursor}:
            # At once: otherwise the expired cursor would be sent again after a crash.
            self._dead_cursor = reading.dead_cursor
            await self._checkpointer.save(self._frontier.position)
        for index, entry in enumerate(reading.entries):
            if isinstance(entry, MalformedSessionError):
                await self._failures.give_up(entry, entry, attempts=1)
                self._settle(page, index)
            else:
                self._lanes.add(self._key(entry), _Job(entry, page, index))
                self._start_worker()

    async def _wait_for_room(self) -> None:
        if not self._bounds.are_exceeded(self._frontier):
            return
        unsettled, size = self._frontier.unsettled, self._frontier.size
        self._runtime.observe(ReadingPaused(name=self._name, unsettled=unsettled, size=size))
        while self._bounds.are_exceeded(self._frontier, RESUME_SHARE):
            await self._change()

    async def _drain(self) -> None:
        """Wait until all is handled; when stopping, for running handlers only, within a bound."""
        while not self._stopping and (self._lanes or self._retrying):
            await self._change()
        with anyio.move_on_after(self._bounds.drain_timeout):
            while self._workers:
                await self._change()

    async def _change(self) -> None:
        """Wait until a session is settled or a worker has ended; report it if that takes long."""
        waited = 0.0
        while not self._changed.is_set():
            with anyio.move_on_after(STALLED):
                await self._changed.wait()
                break
            waited += STALLED
            self._runtime.observe(
                HandlersStalled(
                    name=self._name,
                    seconds=waited,
                    running=self._workers,
                    unsettled=self._frontier.unsettled,
                )
            )
        self._changed = asyncio.Event()

    # Handling

    def _start_worker(self) -> None:
        """Start a worker if something is ready and none is starting. It starts the next one.

        So handlers that never wait need one worker, not as many as may run at once.
        """
        if self._starting or self._stopping or not self._lanes.ready:
            return
        if self._workers < self._bounds.concurrency:
            self._workers += 1
            self._starting += 1
            self._tasks.start_soon(self._work)

    async def _work(self) -> None:
        self._starting -= 1
        try:
            if being_cancelled():
                return  # a handler that never waits would not even notice
            while not self._stopping and (started := self._lanes.start()):
                self._start_worker()
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
            if being_cancelled():
                return  # then it is no failure, whatever the handler has raised
            delay = self._failures.delay(job.session, error, job.attempt)
            if delay is not None:
                self._retrying += 1
                self._tasks.start_soon(self._retry, key, job, delay)
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
            if was_cancelled():
                # It swallowed its cancellation, so it may not be done; or it has cancelled its own
                # task, and the next session must not pay for that.
                await anyio.lowlevel.checkpoint()
        except asyncio.CancelledError:
            # Ours, or one that came out of something the handler has awaited?
            if being_cancelled():
                raise
            raise RuntimeError("the handler raised CancelledError unasked") from None

    async def _retry(self, key: Hashable, job: _Job, delay: float) -> None:
        """Wait outside the workers, so that they can handle other sessions meanwhile."""
        await self._runtime.clock.sleep(delay)
        self._retrying -= 1
        job.attempt += 1
        self._lanes.again(key, job)
        self._start_worker()

    def _settle(self, page: OpenPage, index: int) -> None:
        self._frontier.settle(page, index)
        self._changed.set()
        self._dirty.set()

    # Saving and stopping

    async def _save_regularly(self) -> None:
        try:
            while True:
                await self._dirty.wait()
                self._dirty = asyncio.Event()
                await self._checkpointer.save(self._frontier.position)
                await self._runtime.sleep(INTERVAL)
        except asyncio.CancelledError:
            self._expect_cancellation()
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it leaves consume()
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Stop for this reason; the first one counts."""
        if self._failure is None:
            self._failure = error
        self._stop_reading()

    def _stop_reading(self) -> None:
        """Read no more, and start no more handlers."""
        self._stopping = True
        self._reading.cancel()
        self._changed.set()

    def _expect_cancellation(self) -> None:
        """Fail unless we were cancelled: otherwise such a task would end unnoticed."""
        if not being_cancelled():
            self._fail(RuntimeError("a CancelledError was raised, and nobody had cancelled"))

    async def _close(self) -> None:
        """Save what is settled, even while all is being cancelled, and report the end."""
        try:
            try:
                await self._source.aclose()
            finally:
                await self._checkpointer.finish(self._frontier.position)
        except Exception as error:  # noqa: BLE001  # whatever it is, it leaves consume()
            self._fail(error)
        self._runtime.observe(
            ConsumerStopped(
                name=self._name,
                handled=self._handled,
                given_up=self._failures.given_up,
                unsettled=self._frontier.unsettled,
                error=self._failure,
            )
        )

"""One run of a consumer: read, start handlers, settle, save, stop."""

import asyncio
from collections.abc import Callable, Hashable, Iterator
from contextlib import aclosing
from functools import partial

from ..errors import MalformedSessionError
from ..feed.reading import Reading
from ..models import CoachingSession
from ..progress.checkpointer import INTERVAL, LAST_SAVE, Checkpointer
from ..progress.frontier import OpenPage
from ..tasks import Runtime, close_after, close_all
from ..tasks.supervision import CLEANUP
from ..telemetry import ConsumerStopped, HandlersRecovered, HandlersStalled, ReadingPaused
from .bounds import Bounds
from .failures import Failures
from .ledger import Handler
from .report import Report
from .source import Source
from .tasks import ConsumerTasks
from .watch import Watch
from .workers import Job, Workers

RESUME_SHARE = 0.8
"""A pause at a bound ends below this share of it, so that reading does not stutter."""
CLOSING = LAST_SAVE + CLEANUP
"""Seconds that closing may take, all in all. Each of its parts has a shorter bound of its own."""


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
        self._key = key
        self._failures = failures
        self._checkpointer = checkpointer
        self._bounds = bounds
        self._runtime = runtime
        self._handled = 0
        self._stopping = False
        self._failure: BaseException | None = None
        self._reading: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()  # wakes who waits for room, or for the end
        self._dirty = asyncio.Event()  # set while there may be something to save
        self._tasks = ConsumerTasks(on_error=self._fail, runtime=runtime)
        self._workers = Workers(
            handler=handler,
            concurrency=bounds.concurrency,
            tasks=self._tasks,
            clock=runtime.clock,
            on_handled=self._on_handled,
            on_failed=self._on_failed,
            on_idle=self._changed.set,
        )
        self._watch = Watch(marks=self._marks, on_stalled=self._on_stalled, on_moved=self._on_moved)

    async def run(self) -> Report:
        """Consume the source to its end."""
        try:
            frontier = await self._source.begin_with(self._checkpointer, self._stop_reading)
        except BaseException as error:
            await close_after(error, partial(self._checkpointer.finish, None), "the store")
            raise
        self._frontier = frontier
        self._dead_cursor = frontier.position.dead_cursor
        try:
            await self._until_over()
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

    async def _until_over(self) -> None:
        """Wait until all is handled; when stopping, for running handlers only, within a bound."""
        self._tasks.start(self._save_regularly)
        self._reading = self._tasks.start(self._read)
        self._reading.add_done_callback(lambda _: self._changed.set())
        while not (self._stopping or (self._reading.done() and self._workers.idle)):
            self._changed.clear()
            await self._changed.wait()
        await self._workers.drain(self._bounds.drain_timeout)

    # Reading

    async def _read(self) -> None:
        async with aclosing(self._source.readings()) as readings:
            async for reading in readings:
                if self._stopping:
                    return  # the source has hidden its cancellation
                await self._start_page(reading)
                await self._wait_for_room()

    async def _start_page(self, reading: Reading) -> None:
        page = self._frontier.open(reading)
        self._dirty.set()
        self._watch.begin()
        if reading.dead_cursor not in {None, self._dead_cursor}:
            # At once: otherwise the expired cursor would be sent again after a crash.
            self._dead_cursor = reading.dead_cursor
            await self._checkpointer.save(self._frontier.position)
        for index, entry in enumerate(reading.entries):
            if isinstance(entry, MalformedSessionError):
                unusable: Exception = entry
            else:
                try:
                    self._workers.add(self._key(entry), Job(entry, page, index))
                    continue
                except Exception as error:  # noqa: BLE001  # of the key: a failure like a handler's
                    unusable = error
            await self._failures.give_up(entry, unusable, attempts=1)
            self._settle(page, index)

    async def _wait_for_room(self) -> None:
        if not self._bounds.are_exceeded(self._frontier):
            return
        unsettled, size = self._frontier.unsettled, self._frontier.size
        self._runtime.observe(ReadingPaused(name=self._name, unsettled=unsettled, size=size))
        while self._bounds.are_exceeded(self._frontier, RESUME_SHARE):
            self._changed.clear()
            await self._changed.wait()

    # Settling

    def _on_handled(self, job: Job) -> None:
        self._handled += 1
        self._failures.handled()
        self._settle(job.page, job.index)

    async def _on_failed(self, job: Job, error: Exception) -> float | None:
        delay = self._failures.delay(job.session, error, job.attempt)
        if delay is None:
            await self._failures.give_up(job.session, error, job.attempt)
            self._settle(job.page, job.index)
        return delay

    def _settle(self, page: OpenPage, index: int) -> None:
        self._frontier.settle(page, index)
        if not page.left:  # only then there may be more room
            self._changed.set()

    # Watching

    def _marks(self) -> Iterator[Hashable]:
        """Yield what has to move: the first unsettled session, and what each handler handles."""
        if self._frontier.front is not None:
            yield self._frontier.front
        for job in self._workers.in_hand:
            yield job, job.attempt

    def _on_stalled(self, seconds: float) -> None:
        self._runtime.observe(
            HandlersStalled(
                name=self._name,
                seconds=seconds,
                running=len(self._workers),
                unsettled=self._frontier.unsettled,
            )
        )

    def _on_moved(self, seconds: float) -> None:
        self._runtime.observe(HandlersRecovered(name=self._name, seconds=seconds))

    # Saving and stopping

    async def _save_regularly(self) -> None:
        while True:
            await self._dirty.wait()
            if not self._frontier.unsettled:
                self._dirty.clear()  # nothing changes before the next page
            await self._checkpointer.save(self._frontier.position)
            await self._runtime.sleep(INTERVAL)

    def _fail(self, error: BaseException) -> None:
        """Stop for this reason; the first one counts."""
        if self._failure is None:
            self._failure = error
        self._stop_reading()

    def _stop_reading(self) -> None:
        """Read no more, and start no more handlers."""
        self._stopping = True
        self._workers.stop()
        if self._reading is not None:
            self._tasks.stop(self._reading)
        self._changed.set()

    async def _close(self) -> None:
        """Cancel what still runs and save what is settled, all at once; then report the end."""
        self._stop_reading()
        self._watch.end()
        self._tasks.cancel()
        save = partial(self._checkpointer.finish, self._frontier.position)
        try:
            await close_all(
                (self._tasks.until_ended, self._source.aclose, save), self._runtime, within=CLOSING
            )
        except Exception as error:  # noqa: BLE001  # whatever it is, it leaves consume()
            self._fail(error)
        finally:
            self._runtime.observe(
                ConsumerStopped(
                    name=self._name,
                    handled=self._handled,
                    given_up=self._failures.given_up,
                    unsettled=self._frontier.unsettled,
                    error=self._failure,
                )
            )

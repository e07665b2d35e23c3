"""Workers run the handlers: in order within a lane, and at most so many at once."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Hashable
from functools import partial

import msgspec

from ..arguments import NotAsyncError
from ..clock import Clock
from ..models import CoachingSession
from ..progress.frontier import OpenPage
from .lanes import Lanes
from .ledger import Handler
from .tasks import ConsumerTasks

SLICE = 0.005
"""Seconds after which handlers that never wait let the event loop do other work."""


class Job(msgspec.Struct, eq=False, gc=False):
    """One session on its way through its lane."""

    session: CoachingSession
    page: OpenPage
    index: int
    attempt: int = 1


class Workers:
    """Runs a handler for jobs: for those of a key one at a time, in order.

    A task for each call would cost more than the rest. So a worker is a task that makes one call
    after another, until the event loop needs its turn, or until a handler has changed the task
    (its context variables, or by cancelling it), which must not leak into the next call. Then the
    worker ends, and a fresh one goes on.
    """

    def __init__(
        self,
        *,
        handler: Handler,
        concurrency: int,
        tasks: ConsumerTasks,
        clock: Clock,
        on_handled: Callable[[Job], None],
        on_failed: Callable[[Job, Exception], Awaitable[float | None]],
        on_idle: Callable[[], None],
    ) -> None:
        """Create them.

        Args:
            handler: What to call with each job's session.
            concurrency: How many calls may run at once.
            tasks: What starts and cancels the workers.
            clock: Where time comes from.
            on_handled: Called with a job that its handler has handled.
            on_failed: Returns the seconds until the next attempt, or None when the job is settled.
            on_idle: Called when there is nothing left to do.
        """
        self._handler = handler
        self._concurrency = concurrency
        self._tasks = tasks
        self._clock = clock
        self._on_handled = on_handled
        self._on_failed = on_failed
        self._on_idle = on_idle
        self._lanes: Lanes[Job] = Lanes()
        # What each worker has in hand; None: nothing yet.
        self._workers: dict[asyncio.Task[None], Job | None] = {}
        self._starting = False
        self._stopped = False
        self._held_since: float | None = None

    def __len__(self) -> int:
        """Return the number of workers."""
        return len(self._workers)

    @property
    def in_hand(self) -> list[Job]:
        """The jobs whose handler runs."""
        return [job for job in self._workers.values() if job is not None]

    @property
    def idle(self) -> bool:
        """Whether all jobs are settled."""
        return not self._lanes and not self._workers

    def add(self, key: Hashable, job: Job) -> None:
        """Handle a job after all others of its key.

        Raises:
            Exception: the key can't be hashed or compared.
        """
        self._lanes.add(key, job)
        self._start_worker()

    async def drain(self, seconds: float) -> None:
        """Begin no more calls, and wait a limited time for those that run."""
        self.stop()
        if self._workers:
            await asyncio.wait(self._workers, timeout=seconds)

    def stop(self) -> None:
        """Begin no more calls."""
        self._stopped = True

    def _start_worker(self) -> None:
        """Start a worker if a job is ready and no worker is starting. It starts the next one.

        So handlers that never wait need one worker, not as many as may run at once.
        """
        if self._starting or self._stopped or not self._lanes.ready:
            return
        if len(self._workers) < self._concurrency:
            self._starting = True
            worker = self._tasks.start(self._work)
            self._workers[worker] = None
            worker.add_done_callback(self._worker_ended)

    async def _work(self) -> None:
        worker, caller = asyncio.current_task(), self._tasks.caller
        assert worker is not None
        if worker not in self._workers:  # a factory of eager tasks runs it inside of its starter
            await self._clock.sleep(0)
        self._starting = False
        cancellations = self._tasks.cancellations
        context = contextvars.copy_context()
        self._holds_the_loop()
        while not self._stopped and caller.cancelling() <= cancellations:
            started = self._lanes.start()
            if started is None:
                return
            if not self._starting:
                self._start_worker()
            self._workers[worker] = started[1]
            await self._handle(worker, *started)
            if self._holds_the_loop() or worker.cancelling() or _differs_from(context):
                return

    def _holds_the_loop(self) -> bool:
        """Return whether handlers have kept the event loop from other work for too long."""
        now = self._clock.monotonic()
        if self._held_since is None:
            self._held_since = now
            asyncio.get_running_loop().call_soon(self._loop_turned)
        return now - self._held_since >= SLICE

    def _loop_turned(self) -> None:
        self._held_since = None

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        if self._workers.pop(worker) is None:
            self._starting = False  # it was cancelled before it began
        self._start_worker()
        if self.idle:
            self._on_idle()

    async def _handle(self, worker: asyncio.Task[None], key: Hashable, job: Job) -> None:
        try:
            await self._handler(job.session)
            if worker.cancelling():
                if self._tasks.cancelled:
                    return  # it has hidden its cancellation, and may not be done
                # It has cancelled its own task: then it fails, and no other handler.
                await self._clock.sleep(0)
        except asyncio.CancelledError:
            if self._tasks.cancelled:
                raise
            failure: Exception = RuntimeError("the handler raised CancelledError unasked")
        except NotAsyncError:
            raise  # no other session would fare better
        except Exception as error:  # noqa: BLE001  # the policy decides on any
            if self._tasks.cancelled:
                return  # then it is no failure, whatever the handler has raised
            failure = error
        else:
            self._on_handled(job)
            self._lanes.done(key)
            return
        delay = await self._on_failed(job, failure)
        if delay is None:
            self._lanes.done(key)
        else:
            # Outside the workers, so that they can handle other sessions meanwhile.
            self._tasks.start(partial(self._retry, key, job, delay))

    async def _retry(self, key: Hashable, job: Job, delay: float) -> None:
        await self._clock.sleep(delay)
        job.attempt += 1
        self._lanes.again(key, job)
        self._start_worker()


def _differs_from(context: contextvars.Context) -> bool:
    """Return whether context variables have changed; fast when they have not."""
    try:
        return contextvars.copy_context() != context
    except Exception:  # noqa: BLE001  # a variable's value that can't be compared is another
        return True

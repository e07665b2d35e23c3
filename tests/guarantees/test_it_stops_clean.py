"""Promise 5: it can be cancelled anywhere; no task is left, and nothing unsettled is saved."""

import asyncio
from collections.abc import Coroutine, Generator
from random import Random
from typing import Any

import pytest

from coachstream import CoachingSession, Event, RateLimits, RetryPolicy, consume
from coachstream.checkpoints import SqliteStore
from coachstream.emulator import Emulator, World, refuse, serve
from tests.guarantees.histories import Recorder
from tests.support.emulated import LONG_AGO
from tests.support.in_memory import InMemoryExchange, client_in_memory
from tests.support.versions import identity, identity_of
from tests.support.virtual_time import LoopClock


class SuspensionCounter:
    """Counts the suspensions of all tasks, and cancels one task at the n-th."""

    def __init__(self, cancel_at: int) -> None:
        self._left = cancel_at
        self.victim: asyncio.Task[Any] | None = None
        self.cancelled = False

    def factory(self, loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
        """Create tasks whose suspensions are counted."""
        task = asyncio.Task(self._counted(work), loop=loop, **more)
        task.add_done_callback(lambda _: work.close())  # one cancelled before its first step
        return task

    async def _counted(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await _Counted(work, self)

    def count(self) -> None:
        """Count a suspension."""
        if self.victim is None or self.victim.done():
            return
        self._left -= 1
        if self._left == 0:
            self.cancelled = True
            self.victim.cancel()


class _Counted:
    """Awaits a coroutine and reports each suspension."""

    def __init__(self, work: Coroutine[Any, Any, Any], counter: SuspensionCounter) -> None:
        self._work = work
        self._counter = counter

    def __await__(self) -> Generator[Any, Any, Any]:
        sent, error = None, None
        while True:
            try:
                waits = self._work.throw(error) if error else self._work.send(sent)
            except StopIteration as end:
                return end.value
            error = None
            self._counter.count()
            try:
                sent = yield waits
            except BaseException as raised:  # noqa: BLE001  # raised in the coroutine
                error = raised


FAST: dict[str, Any] = {
    "rate_limits": RateLimits(sessions=None),
    "retry": RetryPolicy(first_delay=0.001),
}


async def run_cancelled_at(path: str, cancel_at: int) -> bool:
    """Run a consumer that is cancelled at a suspension; return False if it ended before.

    This runs on real time, because the store works in a thread, for which virtual time can't wait.
    """
    world = World(2, drivers=3, sessions=5, changes_per_hour=0)
    emulator = Emulator(world, page_size=2, faults=[serve(), refuse(503)])
    recorder = Recorder(emulator)
    end = emulator.now
    exchange = InMemoryExchange(emulator, latency=0.002, chance=Random(1))
    store = SqliteStore(path)
    events: list[Event] = []

    async def handle(session: CoachingSession) -> None:
        await LoopClock().sleep(0.002)
        recorder.handled.add(identity(session))

    counter = SuspensionCounter(cancel_at)
    loop = asyncio.get_running_loop()
    loop.set_task_factory(counter.factory)
    before = asyncio.all_tasks()
    async with client_in_memory(
        exchange, chance=Random(1), observer=events.append, **FAST
    ) as client:
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=end)
        arguments: dict[str, Any] = {
            "observer": events.append,
            "clock": LoopClock(),
            "random": Random(1),
        }
        running = asyncio.ensure_future(
            consume(stream, handle, name="it", store=store, concurrency=2, **arguments)
        )
        counter.victim = running
        await asyncio.wait((running,))
        assert running.cancelled() == counter.cancelled
        assert counter.cancelled or running.exception() is None
    loop.set_task_factory(None)
    assert asyncio.all_tasks() == before
    saved = await store.load("it")
    if saved is not None:
        assert recorder.claimed(saved.position) <= recorder.handled
    # The next run delivers the rest, and nothing that was saved as settled.
    settled = set() if saved is None else recorder.claimed(saved.position)
    recorder.handled.clear()
    async with client_in_memory(
        exchange, chance=Random(1), observer=events.append, **FAST
    ) as client:
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=end)
        await consume(stream, handle, name="it", store=store, clock=LoopClock())
    latest = {identity_of(one.latest) for one in world.record.sessions.values()}
    assert recorder.handled == latest - settled
    await store.aclose()
    return counter.cancelled


@pytest.mark.timeout(240)
def test_cancelled_at_every_suspension_of_a_run(tmp_path):
    count = 0
    with asyncio.Runner() as runner:
        while runner.run(run_cancelled_at(str(tmp_path / f"{count}.db"), count + 1)):
            count += 1
    assert count > 20

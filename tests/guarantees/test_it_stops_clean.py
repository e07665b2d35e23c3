"""Promise 5: cancel it anywhere; nothing is half done, and nothing unsettled is committed."""

import asyncio
from collections.abc import Coroutine, Generator
from random import Random
from typing import Any

import pytest
from hypothesis import given

from coachstream import CoachingSession, Event, RateLimits, RetryPolicy, consume
from coachstream.checkpoints import SqliteStore
from coachstream.emulator import Emulator, World, refuse, serve
from tests.guarantees.histories import History, Witness, histories, live, thoroughly
from tests.support.emulated import LONG_AGO, key
from tests.support.rim import Rim, client_at
from tests.support.virtual_time import LoopClock


@pytest.mark.timeout(900)
@given(histories())
@thoroughly
def test_no_life_leaves_anything_running(history: History) -> None:
    witness = live(history)
    assert witness.left_running == []
    assert witness.late == []


class Steps:
    """Counts the suspensions of all tasks, and at the n-th cancels one of them."""

    def __init__(self, cut_at: int) -> None:
        self._left = cut_at
        self.victim: asyncio.Task[Any] | None = None
        self.was_cut = False

    def factory(self, loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
        """Make tasks whose suspensions are counted."""
        return asyncio.Task(self._counted(work), loop=loop, **more)

    async def _counted(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await _Counted(work, self)

    def count(self) -> None:
        """Take note of a suspension."""
        if self.victim is None or self.victim.done():
            return
        self._left -= 1
        if self._left == 0:
            self.was_cut = True
            self.victim.cancel()


class _Counted:
    """Awaits a coroutine and tells of each suspension."""

    def __init__(self, work: Coroutine[Any, Any, Any], steps: Steps) -> None:
        self._work = work
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, Any]:
        sent, error = None, None
        while True:
            try:
                waits = self._work.throw(error) if error else self._work.send(sent)
            except StopIteration as end:
                return end.value
            error = None
            self._steps.count()
            try:
                sent = yield waits
            except BaseException as raised:  # noqa: BLE001  # handed on to the work
                error = raised


HASTY: dict[str, Any] = {
    "rate_limits": RateLimits(sessions=None),
    "retry": RetryPolicy(first_delay=0.001),
}


async def scripted(path: str, cut_at: int) -> bool:
    """Run a consumer that is cancelled at a suspension; return False when there are no more.

    On real time, because the store works in a thread, for which no virtual clock waits.
    """
    world = World(2, drivers=3, sessions=5, changes_per_hour=0)
    emulator = Emulator(world, page_size=2, faults=[serve(), refuse(503)])
    witness = Witness(emulator)
    end = emulator.now
    rim = Rim(emulator, latency=0.002, chance=Random(1))
    store = SqliteStore(path)
    events: list[Event] = []

    async def handle(session: CoachingSession) -> None:
        await LoopClock().sleep(0.002)
        witness.handled.add(key(session))

    steps = Steps(cut_at)
    loop = asyncio.get_running_loop()
    loop.set_task_factory(steps.factory)
    before = asyncio.all_tasks()
    async with client_at(rim, chance=Random(1), observer=events.append, **HASTY) as client:
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=end)
        arguments: dict[str, Any] = {
            "observer": events.append,
            "clock": LoopClock(),
            "random": Random(1),
        }
        running = asyncio.ensure_future(
            consume(stream, handle, name="it", store=store, concurrency=2, **arguments)
        )
        steps.victim = running
        await asyncio.wait((running,))
        assert running.cancelled() == steps.was_cut
        assert steps.was_cut or running.exception() is None
    loop.set_task_factory(None)
    assert asyncio.all_tasks() == before
    kept = await store.load("it")
    if kept is not None:
        assert witness.claimed(kept.position) <= witness.handled
    # Whoever goes on finds the rest, and nothing twice that was saved as settled.
    settled = set() if kept is None else witness.claimed(kept.position)
    witness.handled.clear()
    async with client_at(rim, chance=Random(1), observer=events.append, **HASTY) as client:
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=end)
        await consume(stream, handle, name="it", store=store, clock=LoopClock())
    assert witness.handled == world.latest() - settled
    await store.aclose()
    return steps.was_cut


@pytest.mark.timeout(240)
def test_cancelled_at_every_suspension_of_a_run(tmp_path):
    cuts = 0
    with asyncio.Runner() as runner:
        while runner.run(scripted(str(tmp_path / f"{cuts}.db"), cuts + 1)):
            cuts += 1
    assert cuts > 30

"""Weeks of virtual time in one process, to find a small leak per poll."""

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

import aiohttp

from coachstream import Client, CoachingSession, Event, consume
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import Emulator, World
from coachstream.telemetry import HandlerFailed, RetryScheduled, SaveFailed
from coachstream.testing import LoopClock, pass_time
from tests.simulate import loop
from tests.simulate.fault_schedule import FaultSchedule
from tests.simulate.journal import Journal
from tests.simulate.network import Connector, Network
from tests.simulate.plan import FaultPeriod, faults_only
from tests.soak.figures import Figure, SoakResult, descriptors, objects, tasks
from tests.support.emulated import LONG_AGO, TOKEN

WEEK = timedelta(weeks=1).total_seconds()
GROWTH = {"objects": 2500.0, "tasks": 3.0, "descriptors": 1.0}
"""The growth of each figure that is allowed."""
FAULT_KINDS = ("429", "503", "dropped", "stall", "cut short", "garble", "empty page")
SAMPLES = 60


def weeks(count: float) -> SoakResult:
    """Follow a feed for ``count`` weeks with a poll every half minute, and sample the figures."""
    result = SoakResult({name: Figure(name, growth) for name, growth in GROWTH.items()}, 0, 0)

    def on_error(context: object) -> None:
        raise AssertionError(context)

    loop.run(lambda: _follow(result, count * WEEK), on_error)
    return result


async def _follow(result: SoakResult, seconds: float) -> None:
    world = World(1, drivers=20, sessions=400, changes_per_hour=0)
    emulator = Emulator(world, page_size=(5, 40), remember=100)
    plan, journal = faults_only(FaultPeriod(0, seconds, 0.02, FAULT_KINDS)), Journal()
    network = Network(plan, emulator, FaultSchedule(plan, journal), journal)
    chance = Random(1)

    async def handle(session: CoachingSession) -> None:
        await pass_time(chance.random())
        if chance.random() < 0.01:
            raise RuntimeError("on purpose")
        result.handled += 1

    def count(event: Event) -> None:
        result.faults += isinstance(event, RetryScheduled | HandlerFailed | SaveFailed)

    changing = asyncio.create_task(_change_world(world, network))
    more: dict[str, Any] = {"observer": count, "clock": LoopClock(), "random": Random(1)}
    async with (
        aiohttp.ClientSession(connector=Connector(network)) as http,
        Client(TOKEN, base_url="http://127.0.0.1:1", http=http, **more) as client,
    ):
        stream = client.sessions.stream(start_time=LONG_AGO, poll_interval=30.0)
        store = MemoryStore()
        running = asyncio.create_task(consume(stream, handle, name="it", store=store, **more))
        for _ in range(SAMPLES):
            await pass_time(seconds / SAMPLES)
            now = asyncio.get_running_loop().time()
            for name, probe in PROBES.items():
                result.figures[name].samples.append((now, probe()))
        await stream.aclose()
        await running
    changing.cancel()
    await asyncio.wait((changing,))


async def _change_world(world: World, network: Network) -> None:
    """Change some sessions from time to time, and drop the history of world and network."""
    chance, known = Random(2), sorted(world.record.sessions)
    while True:
        await pass_time(7200 * chance.random())
        for _ in range(chance.randint(1, 20)):
            world.annotate(chance.choice(known), "another note")
        for log in (world.record.every, *world.record._by_driver.values()):
            log.compact()
        for session in world.record.sessions.values():
            del session.versions[:-1]
        network.request_times.clear()


PROBES = {"objects": objects, "tasks": tasks, "descriptors": descriptors}

"""Weeks of virtual time in one process: what leaks a little with each poll shows in the end."""

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
from tests.simulate.journal import Journal
from tests.simulate.network import Connector, Network
from tests.simulate.plan import Weather, plain
from tests.simulate.skies import Skies
from tests.soak.figures import Figure, Soaked, descriptors, objects, tasks
from tests.support.emulated import LONG_AGO, TOKEN

WEEK = timedelta(weeks=1).total_seconds()
GROWTH = {"objects": 2500.0, "tasks": 3.0, "descriptors": 1.0}
"""How much more there may be of each in the last quarter than after warming up."""
KINDS = ("429", "503", "dropped", "stall", "cut short", "garble", "empty page")
SAMPLES = 60


def weeks(many: float) -> Soaked:
    """Follow a feed for so many weeks, a poll every half minute, and sample."""
    soaked = Soaked({name: Figure(name, growth) for name, growth in GROWTH.items()}, 0, 0)

    def complain(context: object) -> None:
        raise AssertionError(context)

    loop.run(lambda: _follow(soaked, many * WEEK), complain)
    return soaked


async def _follow(soaked: Soaked, seconds: float) -> None:
    world = World(1, drivers=20, sessions=400, changes_per_hour=0)
    emulator = Emulator(world, page_size=(5, 40), remember=100)
    plan, journal = plain(Weather(0, seconds, 0.02, KINDS)), Journal()
    network = Network(plan, emulator, Skies(plan, journal), journal)
    chance = Random(1)

    async def handle(session: CoachingSession) -> None:
        await pass_time(chance.random())
        if chance.random() < 0.01:
            raise RuntimeError("now and then")
        soaked.handled += 1

    def count(event: Event) -> None:
        soaked.faults += isinstance(event, RetryScheduled | HandlerFailed | SaveFailed)

    life = asyncio.create_task(_live_on(world, network))
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
            for name, look in LOOKS.items():
                soaked.figures[name].samples.append((now, look()))
        await stream.aclose()
        await running
    life.cancel()
    await asyncio.wait((life,))


async def _live_on(world: World, network: Network) -> None:
    """Change some sessions now and then, and let the world and the network forget."""
    chance, known = Random(2), sorted(world.record.sessions)
    while True:
        await pass_time(7200 * chance.random())
        for _ in range(chance.randint(1, 20)):
            world.annotate(chance.choice(known), "another note")
        for log in (world.record.every, *world.record._by_driver.values()):
            log.compact()
        for session in world.record.sessions.values():
            del session.versions[:-1]
        network.departures.clear()


LOOKS = {"objects": objects, "tasks": tasks, "descriptors": descriptors}

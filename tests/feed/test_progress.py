"""How long a backfill takes yet: estimated by pages, and called a lower bound until it is known."""

from datetime import timedelta
from random import Random

import pytest

from coachstream.emulator import World
from coachstream.emulator.world import DEFAULT_START as NOW
from coachstream.telemetry import BackfillProgress
from tests.support.emulated import feed
from tests.support.virtual_time import LoopClock, pass_time, virtual

START, END = NOW - timedelta(days=91), NOW - timedelta(hours=1)


def even():
    return World(sessions=2000, changes_per_hour=0)


def dense_at_the_end():
    """Most of all changed in the last week."""
    world, chance = World(sessions=300, changes_per_hour=0), Random(1)
    for back in sorted((chance.random() for _ in range(1500)), reverse=True):
        world.add_session(updated_at=END - timedelta(days=7 * back))
    return world


def rests(world, *, busy=0.0):
    """Return the estimated and the actual rest at each progress, and whether it is a bound."""
    told: list[tuple[float, BackfillProgress]] = []
    ends: list[float] = []

    @virtual
    async def run():
        clock = LoopClock()

        def observe(event):
            if isinstance(event, BackfillProgress):
                told.append((clock.monotonic(), event))

        async with feed(world, page_size=10, latency=0.2, client={"observer": observe}) as (
            _,
            client,
            _events,
        ):
            async for _ in client.sessions.backfill(start_time=START, end_time=END):
                if busy:
                    await pass_time(busy)
        ends.append(clock.monotonic())

    run()
    return [(event.seconds_left, ends[0] - at, event.at_least) for at, event in told]


@pytest.mark.parametrize("world", [even, dense_at_the_end])
@pytest.mark.parametrize("busy", [0.0, 0.05])
def test_what_is_called_a_lower_bound_is_one(world, busy):
    bounds = [(left, actual) for left, actual, at_least in rests(world(), busy=busy) if at_least]
    assert len(bounds) > 5
    assert all(left <= 1.2 * actual + 1 for left, actual in bounds)


def test_what_is_known_is_right_whoever_is_slow():
    known = [(left, actual) for left, actual, at_least in rests(even(), busy=0.1) if not at_least]
    assert len(known) > 5
    assert all(left == pytest.approx(actual, rel=0.5, abs=3) for left, actual in known)

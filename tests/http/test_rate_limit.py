"""The pace: even, shared, and shut for all when the server says so."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coachstream import InvalidArgumentError, RateLimits, SystemClock
from coachstream.http.rate_limit import Limiter, PausedError
from coachstream.testing import most_in_a_second
from tests.support.virtual_time import LoopClock, VirtualLoop, pass_time, virtual

CLOCK = LoopClock()
Times = list[float]


async def leave(limiter, times, *, pause=0.0):
    await CLOCK.sleep(pause)
    await limiter.acquire(CLOCK)
    times.append(CLOCK.monotonic())


@given(st.lists(st.floats(0, 4), min_size=1, max_size=40), st.sampled_from([1.0, 5.0, 10.0]))
@settings(max_examples=40)
def test_never_more_than_the_rate_in_any_second(pauses, rate):
    @virtual
    async def run():
        limiter, times = Limiter(rate), Times()
        async with asyncio.TaskGroup() as tasks:
            for pause in pauses:
                tasks.create_task(leave(limiter, times, pause=pause))
        assert len(times) == len(pauses)
        assert most_in_a_second(times) <= rate

    run()


@virtual
async def test_a_limiter_made_right_after_another_keeps_the_rate_from_the_start():
    times = Times()
    for _ in range(3):
        limiter = Limiter(5)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(6):
                tasks.create_task(leave(limiter, times))
    assert most_in_a_second(times) <= 5


@virtual
async def test_the_full_rate_is_nearly_reached():
    limiter, times = Limiter(5), Times()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(501):
            tasks.create_task(leave(limiter, times))
    assert 500 / (times[-1] - times[0]) > 5 * 0.975


@virtual
async def test_a_hold_holds_everyone_waiting_or_yet_to_come():
    limiter, times = Limiter(5), Times()
    await leave(limiter, times)
    async with asyncio.TaskGroup() as tasks:
        for pause in (0, 0, 0.1, 20):
            tasks.create_task(leave(limiter, times, pause=pause))
        await CLOCK.sleep(0.05)
        limiter.refused(30.5, sent_at=CLOCK.monotonic(), clock=CLOCK)
    assert times[1] >= 30.55
    assert most_in_a_second(times) <= 5


@virtual
async def test_a_shorter_hold_does_not_shorten_a_longer_one():
    limiter, times = Limiter(None), Times()
    limiter.refused(10, sent_at=CLOCK.monotonic(), clock=CLOCK)
    limiter.refused(1, sent_at=CLOCK.monotonic(), clock=CLOCK)
    await leave(limiter, times)
    assert times[0] >= 10


@virtual
async def test_the_pace_halves_and_creeps_back():
    limiter, times = Limiter(5), Times()
    await leave(limiter, times)
    limiter.refused(0, sent_at=CLOCK.monotonic(), clock=CLOCK)
    assert limiter.pace == 0.5
    for _ in range(60):
        await leave(limiter, times)
    gaps = [after - before for before, after in pairwise(times)]
    assert max(gaps) == gaps[1] == pytest.approx(2 * 0.204, rel=0.01)
    assert gaps[-1] == pytest.approx(0.204, rel=0.01)
    assert limiter.pace == 1


@virtual
async def test_one_excess_halves_once_however_many_were_refused_for_it():
    limiter = Limiter(5)
    left = CLOCK.monotonic()
    await CLOCK.sleep(1)
    for _ in range(5):
        limiter.refused(0, sent_at=left, clock=CLOCK)
    assert limiter.pace == 0.5
    await CLOCK.sleep(1)
    limiter.refused(0, sent_at=CLOCK.monotonic(), clock=CLOCK)
    assert limiter.pace == 0.25
    for _ in range(20):
        await CLOCK.sleep(1)
        limiter.refused(0, sent_at=CLOCK.monotonic(), clock=CLOCK)
    assert limiter.pace == 1 / 32


@virtual
async def test_one_who_stops_waiting_leaves_the_turn_to_the_next():
    limiter, times = Limiter(5), Times()
    await leave(limiter, times)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await leave(limiter, times)
    await leave(limiter, times)
    assert times[1] - times[0] == pytest.approx(0.204, rel=0.01)


@virtual
async def test_without_a_rate_nobody_waits():
    limiter, times = Limiter(None), Times()
    for _ in range(100):
        await leave(limiter, times)
    assert times[-1] - times[0] < 0.01


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["sessions", "assignments"])
def test_a_rate_without_sense_is_refused(name, rate):
    with pytest.raises(InvalidArgumentError, match=f"^{name}: "):
        RateLimits(**{name: rate})


def test_the_documented_rates_are_the_default():
    limits = RateLimits()
    assert limits.sessions._spacing == pytest.approx(1.02 / 5)
    assert limits.assignments._spacing == pytest.approx(1.02 / 10)


async def connect_and_leave(limiter, connecting, times):
    """A request that waits for a slot, makes a connection and is sent; again, if that is late."""
    while True:
        await limiter.acquire(CLOCK)
        await pass_time(connecting)
        with suppress(PausedError):
            await limiter.before_sending(CLOCK)
            return times.append(CLOCK.monotonic())


@virtual
async def test_a_loop_that_was_blocked_lets_no_crowd_out():
    limiter, times = Limiter(5.0), []
    waits = (1.5, 1.3, 1.1, 0.9, 0.7, 0.5, 0.3)
    tasks = [asyncio.create_task(connect_and_leave(limiter, one, times)) for one in waits]
    await pass_time(1.6)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop._jumping.now += 1.0  # somebody computes
    await asyncio.gather(*tasks)
    assert most_in_a_second(times) <= 5


@virtual
async def test_a_gate_that_shuts_holds_those_who_are_about_to_depart():
    limiter, times = Limiter(5.0), []
    tasks = [
        asyncio.create_task(connect_and_leave(limiter, one, times)) for one in (1.5, 1.3, 1.1, 0.9)
    ]
    await pass_time(1.55)
    limiter.refused(10, sent_at=CLOCK.monotonic(), clock=CLOCK)
    await asyncio.gather(*tasks)
    assert all(at < 1.55 or at >= 11.55 for at in times)
    assert len([at for at in times if at >= 11.55]) >= 3


# Two event loops


@pytest.mark.parametrize("rate", [5.0, None])
def test_a_limit_may_be_used_on_one_event_loop_after_another(rate):
    limiter = Limiter(rate)

    async def crowd():
        times = Times()
        waiting = [asyncio.ensure_future(leave(limiter, times)) for _ in range(5)]
        await pass_time(0)  # the last of them never get their slot
        return waiting

    async def few():
        times = Times()
        await asyncio.gather(*(leave(limiter, times) for _ in range(3)))
        return times

    for use in (crowd, few):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            result = runner.run(use())
    assert len(result) == 3


def test_a_limit_that_another_event_loop_is_using_is_refused_by_name():
    limiter = Limiter(5.0)

    async def use():
        await limiter.acquire(SystemClock())

    async def elsewhere():
        await use()
        with pytest.raises(InvalidArgumentError, match="^rate_limits: another event loop"):
            await asyncio.to_thread(asyncio.run, use())

    asyncio.run(elsewhere())

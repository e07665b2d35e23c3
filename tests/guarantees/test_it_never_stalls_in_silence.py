"""Promise 4: quiet and stalled are different states, and everything that hangs is reported."""

import asyncio

from coachstream import AnswerTimeoutError, StreamState, consume
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import World
from coachstream.feed.health import GRACE
from coachstream.telemetry import (
    CaughtUp,
    HandlersStalled,
    LoopBlocked,
    RetryScheduled,
    SaveFailed,
)
from tests.support.emulated import LONG_AGO, feed, keys
from tests.support.virtual_time import LoopClock, VirtualLoop, pass_time, virtual


def world(sessions=3):
    return World(sessions=sessions, changes_per_hour=0)


def block_the_loop(seconds):
    """Let time pass without running the loop, as a computation does."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop._jumping.now += seconds


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


@virtual
async def test_a_handler_that_blocks_the_loop_is_reported_with_the_lag():
    async with feed(world(20), page_size=2) as (_, client, events):

        async def compute(_):
            block_the_loop(3)

        stream = client.sessions.stream(start_time=LONG_AGO)
        running = asyncio.create_task(
            consume(
                stream,
                compute,
                name="n",
                store={},
                observer=events.append,
                clock=LoopClock(),
            )
        )
        await pass_time(30)
        await stream.aclose()
        await running
        lags = [event.lag for event in of_kind(events, LoopBlocked)]
        assert lags
        assert all(2 < lag < 60 for lag in lags)


@virtual
async def test_a_loop_blocked_by_other_code_is_reported_while_the_feed_is_quiet():
    async with feed(world()) as (_, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        for _ in range(3):
            await anext(stream)
        following = asyncio.create_task(anext(stream))
        await pass_time(1)
        block_the_loop(60)
        await pass_time(1)
        assert [round(event.lag) for event in of_kind(events, LoopBlocked)] == [56]
        following.cancel()


@virtual
async def test_quiet_is_not_stalled():
    async with feed(world()) as (_, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        following = asyncio.create_task(read_all(stream))
        states = set()
        for _ in range(1000):
            await pass_time(3.1)
            states.add(stream.health.state)
        assert states == {StreamState.IDLE}
        assert len(of_kind(events, CaughtUp)) > 500
        assert of_kind(events, LoopBlocked) == []
        following.cancel()


async def read_all(stream):
    return [session async for session in stream]


@virtual
async def test_a_request_that_hangs_is_abandoned_and_retried():
    async with feed(world()) as (api, client, events):
        ask, calls = client._transport._exchange.send, []

        async def hang_at_first(*args, **kwargs):
            calls.append(args)
            if len(calls) == 1:
                await asyncio.Event().wait()
            return await ask(*args, **kwargs)

        client._transport._exchange.send = hang_at_first  # type: ignore[method-assign]  # on purpose
        stream = client.sessions.stream(start_time=LONG_AGO)
        reading = asyncio.create_task(anext(stream))
        await pass_time(100 + GRACE - 1)
        assert stream.health.state is StreamState.STARTING
        got = [await reading, *[await anext(stream) for _ in range(2)]]
        (retried,) = of_kind(events, RetryScheduled)
        assert isinstance(retried.error, AnswerTimeoutError)
        assert set(keys(got)) == api.world.latest()


class HangingStore(MemoryStore):
    """A store whose first saves hang."""

    def __init__(self, *, hangs):
        super().__init__()
        self.hangs = hangs

    async def save(self, name, position, *, after):
        if self.hangs:
            self.hangs -= 1
            await asyncio.Event().wait()
        return await super().save(name, position, after=after)


@virtual
async def test_a_store_that_hangs_is_reported_and_retried():
    async with feed(world()) as (_, client, events):
        store = HangingStore(hangs=2)
        stream = client.sessions.stream(start_time=LONG_AGO)

        async def handle(_):
            pass

        running = asyncio.create_task(
            consume(
                stream,
                handle,
                name="n",
                store=store,
                observer=events.append,
                clock=LoopClock(),
            )
        )
        await pass_time(300)
        failed = of_kind(events, SaveFailed)
        assert [type(event.error.__cause__) for event in failed] == [TimeoutError, TimeoutError]
        saved = await store.load("n")
        assert saved is not None
        assert saved.position.cursor is not None
        await stream.aclose()
        assert (await running).unsettled == 0


@virtual
async def test_handlers_that_never_end_are_reported():
    async with feed(world()) as (_, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)

        async def hang(_):
            await asyncio.Event().wait()

        running = asyncio.create_task(
            consume(
                stream,
                hang,
                name="n",
                store={},
                max_unsettled=1,
                drain_timeout=1,
                observer=events.append,
                clock=LoopClock(),
            )
        )
        await pass_time(200)
        stalled = of_kind(events, HandlersStalled)
        assert [event.seconds for event in stalled] == [60, 120, 180]
        assert {(event.name, event.unsettled) for event in stalled} == {("n", 3)}
        assert all(1 <= event.running <= 3 for event in stalled)
        await stream.aclose()
        await running

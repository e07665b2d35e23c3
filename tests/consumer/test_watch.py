"""Handlers, ledgers and callbacks that hang are reported, whatever the reader does."""

import asyncio
from datetime import timedelta

import pytest

from coachstream import MemoryLedger, Retry, RetryPolicy, SessionStream, StreamState
from coachstream.consumer.watch import LOOK, STALLED
from coachstream.emulator import World, malformed_session
from coachstream.tasks.supervision import OVERDUE
from coachstream.telemetry import CallOverdue, CallReturned, HandlersRecovered, HandlersStalled
from tests.consumer.running import pages, run, session
from tests.support.emulated import LONG_AGO, feed
from tests.support.virtual_time import pass_time, virtual

HOUR = 3600.0


def of_kind(events, *kinds):
    return [event for event in events if isinstance(event, kinds)]


def state(stream: SessionStream) -> StreamState:
    return stream.health.state


@virtual
async def test_handlers_that_never_end_are_reported_while_the_feed_is_quiet():
    async with feed(World(sessions=3, changes_per_hour=0)) as (_, client, _):
        stream, events, released = client.sessions.stream(start_time=LONG_AGO), [], asyncio.Event()

        async def hang(one):
            await released.wait()

        running = asyncio.ensure_future(run(stream, hang, observer=events.append))
        await pass_time(STALLED - LOOK)
        assert state(stream) is StreamState.IDLE
        assert of_kind(events, HandlersStalled) == []
        await pass_time(2 * LOOK)
        assert state(stream) is StreamState.STALLED
        (stalled,) = of_kind(events, HandlersStalled)
        assert (stalled.seconds, stalled.running, stalled.unsettled) == (STALLED, 3, 3)
        await pass_time(HOUR)
        assert state(stream) is StreamState.STALLED
        assert len(of_kind(events, HandlersStalled)) == 1 + HOUR / STALLED
        released.set()
        await pass_time(LOOK)
        assert state(stream) is StreamState.IDLE
        (recovered,) = of_kind(events, HandlersRecovered)
        assert recovered.seconds == pytest.approx(HOUR + STALLED, abs=3 * LOOK)
        await stream.aclose()
        assert (await running).unsettled == 0
        assert state(stream) is StreamState.STOPPED


@virtual
async def test_handlers_that_never_end_are_reported_after_the_end_of_the_stream():
    async with feed(World(sessions=3, changes_per_hour=0)) as (api, client, _):
        stream, released = client.sessions.stream(start_time=LONG_AGO, end_time=api.now), []

        async def hang(one):
            while not released:
                await pass_time(1)

        running = asyncio.ensure_future(run(stream, hang))
        await pass_time(STALLED - LOOK)
        assert state(stream) is StreamState.STOPPED
        await pass_time(2 * LOOK)
        assert state(stream) is StreamState.STALLED
        released.append(True)
        await running
        assert state(stream) is StreamState.STOPPED


@virtual
async def test_one_that_hangs_is_reported_while_others_are_handled():
    async def endless():
        for number in range(10_000):
            async for page in pages([session(number, driver=str(number))]):
                yield page
            await pass_time(1)

    async def handle(one):
        await pass_time(1000 if one.id == "s3" else 0.5)

    events = []
    running = asyncio.ensure_future(run(endless(), handle, observer=events.append))
    await pass_time(STALLED * 2)
    assert [one.seconds for one in of_kind(events, HandlersStalled)] == [STALLED]
    await pass_time(1000)
    assert len(of_kind(events, HandlersRecovered)) == 1
    running.cancel()
    await asyncio.wait([running])


@virtual
async def test_one_that_hangs_is_reported_while_sessions_before_it_are_settled():
    async def handle(one):
        await pass_time(100 if one.driver.driver_id == "slow" else 10)

    events = []
    sessions = [*(session(n) for n in range(20)), session(20, driver="slow")]
    await run(pages(sessions, size=21), handle, observer=events.append)
    assert [one.seconds for one in of_kind(events, HandlersStalled)] == [STALLED]
    (recovered,) = of_kind(events, HandlersRecovered)
    assert recovered.seconds == pytest.approx(100, abs=LOOK)


@virtual
async def test_a_session_that_waits_for_its_next_attempt_holds_the_position_and_is_reported():
    async def handle(one):
        if one.id == "s0":
            raise Retry(after=timedelta(minutes=5))

    events = []
    sessions = [session(n, driver=str(n)) for n in range(5)]
    policy = RetryPolicy(attempts=2)
    with pytest.raises(Retry):
        await run(pages(sessions), handle, retry=policy, observer=events.append)
    assert [one.seconds for one in of_kind(events, HandlersStalled)] == [60, 120, 180, 240]


@virtual
async def test_slow_handlers_that_go_on_are_not_reported():
    async def handle(one):
        await pass_time(STALLED - LOOK)

    events = []
    sessions = [session(n, driver=str(n % 3)) for n in range(60)]
    await run(pages(sessions), handle, concurrency=3, observer=events.append)
    assert of_kind(events, HandlersStalled, HandlersRecovered) == []


@virtual
async def test_there_is_no_timer_while_everything_is_settled():
    async def quiet():
        async for page in pages([session(1)]):
            yield page
        await asyncio.Event().wait()

    async def handle(one):
        await pass_time(1)

    running = asyncio.ensure_future(run(quiet(), handle))
    await pass_time(100)
    scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # its timers
    assert [one for one in scheduled if not one.cancelled()] == []
    running.cancel()
    await asyncio.wait([running])


class HangingLedger(MemoryLedger):
    """A ledger that does not answer before it is released."""

    def __init__(self):
        super().__init__()
        self.released = asyncio.Event()

    async def add(self, failed):
        await self.released.wait()
        await super().add(failed)


@pytest.mark.parametrize("malformed", [True, False])
def test_a_ledger_that_hangs_is_reported(malformed):
    @virtual
    async def test():
        faults = [malformed_session()] if malformed else []
        world = World(sessions=3, changes_per_hour=0)
        async with feed(world, faults=faults) as (_, client, _):
            stream, events, ledger = (
                client.sessions.stream(start_time=LONG_AGO),
                [],
                HangingLedger(),
            )

            async def handle(one):
                if not malformed:
                    raise ZeroDivisionError

            running = asyncio.ensure_future(
                run(
                    stream,
                    handle,
                    on_failure="park",
                    ledger=ledger,
                    retry=RetryPolicy(attempts=1),
                    observer=events.append,
                )
            )
            await pass_time(OVERDUE + 10)
            overdue = of_kind(events, CallOverdue)
            assert {one.what for one in overdue} == {"adding to the ledger of 'test'"}
            assert state(stream) is StreamState.STALLED
            await pass_time(STALLED)
            assert len(of_kind(events, HandlersStalled)) == 1
            ledger.released.set()
            await pass_time(10)
            assert len(of_kind(events, CallReturned)) == len(overdue)
            assert state(stream) is StreamState.IDLE
            await stream.aclose()
            assert (await running).given_up == len(overdue)

    test()


@virtual
async def test_an_on_malformed_that_hangs_is_reported():
    world = World(sessions=3, changes_per_hour=0)
    async with feed(world, faults=[malformed_session()]) as (_, client, events):
        released = asyncio.Event()

        async def settle(error):
            await released.wait()

        stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=settle)

        async def read():
            async for _ in stream:
                pass

        reading = asyncio.ensure_future(read())
        await pass_time(OVERDUE + 10)
        assert of_kind(events, CallOverdue) == [CallOverdue(what="on_malformed", seconds=OVERDUE)]
        assert state(stream) is StreamState.STALLED
        released.set()
        await pass_time(10)
        assert state(stream) is StreamState.IDLE
        await stream.aclose()
        await reading


@virtual
async def test_a_cancellation_out_of_on_malformed_is_an_error():
    world = World(sessions=3, changes_per_hour=0)
    async with feed(world, faults=[malformed_session()]) as (_, client, _):

        async def settle(error):
            raise asyncio.CancelledError

        stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=settle)
        with pytest.raises(RuntimeError, match="on_malformed raised CancelledError"):
            async for _ in stream:
                pass

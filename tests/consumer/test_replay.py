"""Sessions that were given up are handled again, as ``consume`` would handle them."""

import asyncio
import contextvars
from unittest.mock import AsyncMock

import pytest

from coachstream import FileLedger, InvalidArgumentError, MemoryLedger, RetryPolicy, consume, replay
from coachstream.emulator import World, malformed_session
from coachstream.tasks.supervision import CLEANUP, OVERDUE
from coachstream.telemetry import CallOverdue
from tests.consumer.running import pages, run, session
from tests.consumer.test_ledger import failed, kept
from tests.support.emulated import LONG_AGO, feed
from tests.support.virtual_time import LoopClock, pass_time, virtual


@pytest.fixture(params=["memory", "file"])
def ledger(request, tmp_path):
    return MemoryLedger() if request.param == "memory" else FileLedger(tmp_path / "failed.jsonl")


async def test_a_replay_hands_each_to_the_handler_and_keeps_what_fails(ledger):
    handled = []

    async def handle(session):
        if session.id == "b":
            raise ZeroDivisionError("still")
        handled.append(session)

    for name in "abc":
        await ledger.add(failed(name))
    await ledger.add(failed("d", consumer="another"))
    await ledger.add(failed("e", raw="{}"))
    result = await replay(ledger, handle, consumer="payroll")
    assert (result.handled, result.failed) == (2, 2)
    assert [session.id for session in handled] == ["a", "c"]
    left = {one.session_id: one for one in await kept(ledger)}
    assert set(left) == {"b", "d", "e"}
    assert (left["b"].attempts, left["b"].error) == (6, "ZeroDivisionError: still")
    assert left["e"].error.startswith("MalformedSessionError")


@pytest.mark.parametrize("odd", [7, dict, lambda _: None])
async def test_a_replay_refuses_a_handler_that_is_not_async(ledger, odd):
    stored = [failed("a"), failed("b")]
    for one in stored:
        await ledger.add(one)
    with pytest.raises(InvalidArgumentError, match="^handler: "):
        await replay(ledger, odd)
    assert await kept(ledger) == stored


@virtual
async def test_what_a_consumer_parked_can_be_replayed():
    world = World(sessions=5, changes_per_hour=0)
    async with feed(world, faults=[malformed_session(newField={"a": 1}, id=7)]) as (_, client, _):
        ledger = MemoryLedger()

        async def refuse(session):
            raise ZeroDivisionError

        stream = client.sessions.stream(start_time=LONG_AGO, end_time=world.now, keep_raw=True)
        report = await consume(
            stream,
            refuse,
            name="x",
            store={},
            on_failure="park",
            ledger=ledger,
            retry=RetryPolicy(attempts=1),
            clock=LoopClock(),
        )
        assert report.given_up == len(await kept(ledger)) > 3
        assert any('"newField"' in one.raw for one in await kept(ledger))
        handler = AsyncMock()
        result = await replay(ledger, handler)
        assert (result.handled, result.failed) == (report.given_up - 1, 1)


async def parked(sessions, **more):
    """Return a ledger with these sessions in it."""
    ledger = MemoryLedger()

    async def refuse(one):
        raise ZeroDivisionError(one.id)

    await run(
        pages(sessions),
        refuse,
        on_failure="park",
        ledger=ledger,
        retry=RetryPolicy(attempts=1),
        failure_ratio=1.0,
        **more,
    )
    return ledger


async def names(ledger):
    return [one.session_id for one in await kept(ledger)]


@virtual
async def test_a_cancelled_replay_keeps_every_session_and_begins_no_other():
    ledger = await parked([session(n, driver=str(n)) for n in range(9)])
    begun = []

    async def handle(one):
        begun.append(one.id)
        try:
            await pass_time(1e6)
        except asyncio.CancelledError:
            raise OSError("connection lost in clean-up") from None

    replaying = asyncio.ensure_future(replay(ledger, handle))
    await pass_time(5)
    replaying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await replaying
    assert begun == ["s0"]
    assert await names(ledger) == [f"s{n}" for n in range(9)]


@virtual
async def test_what_was_handled_leaves_the_ledger_although_its_replay_is_cancelled():
    class Slow(MemoryLedger):
        async def remove(self, failed):
            await pass_time(CLEANUP / 2)
            await super().remove(failed)

    ledger = Slow()
    for name in "ab":
        await ledger.add(failed(name))
    replaying = asyncio.ensure_future(replay(ledger, AsyncMock()))
    await pass_time(1)
    replaying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await replaying
    assert await names(ledger) == ["b"]


@virtual
async def test_a_handler_may_finish_its_clean_up_when_its_replay_is_cancelled():
    ledger, cleaned = await parked([session(1)]), []

    async def handle(one):
        try:
            await pass_time(1e6)
        finally:
            await pass_time(CLEANUP / 2)
            cleaned.append(one.id)

    replaying = asyncio.ensure_future(replay(ledger, handle))
    await pass_time(5)
    replaying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await replaying
    assert cleaned == ["s1"]


@virtual
async def test_a_replay_keeps_the_order_of_a_driver():
    versions = [session(n, driver=driver) for n, driver in enumerate("ABABA")]
    ledger = await parked(versions)
    handled, refused = [], {"s0"}

    async def handle(one):
        if one.id in refused:
            raise ZeroDivisionError
        handled.append(one.id)

    result = await replay(ledger, handle)
    assert (result.handled, result.failed, result.waiting) == (2, 1, 2)
    assert handled == ["s1", "s3"]
    assert [one.attempts for one in await kept(ledger)] == [2, 1, 1]
    refused.clear()
    result = await replay(ledger, handle)
    assert (result.handled, result.failed, result.waiting) == (3, 0, 0)
    assert handled == ["s1", "s3", "s0", "s2", "s4"]


async def test_the_sessions_of_two_consumers_do_not_wait_for_each_other(ledger):
    for consumer in ("payroll", "another"):
        await ledger.add(failed("a", consumer=consumer))
    handler = AsyncMock(side_effect=[ZeroDivisionError, None])
    result = await replay(ledger, handler)
    assert (result.handled, result.failed, result.waiting) == (1, 1, 0)


@virtual
async def test_a_replay_keeps_the_order_of_another_key_too():
    ledger = await parked([session(n, driver=str(n)) for n in range(3)])
    handler = AsyncMock(side_effect=ZeroDivisionError)
    result = await replay(ledger, handler, key=lambda _: "all in one lane")
    assert (result.failed, result.waiting) == (1, 2)
    assert handler.await_count == 1


@pytest.mark.parametrize("key", [lambda one: 1 / 0, lambda one: [one.id]])
def test_a_key_that_fails_is_a_failure_of_its_session(key):
    @virtual
    async def test():
        ledger = await parked([session(n) for n in range(3)])
        result = await replay(ledger, AsyncMock(), key=key)
        assert (result.handled, result.failed) == (0, 3)
        assert {one.attempts for one in await kept(ledger)} == {2}

    test()


@pytest.mark.parametrize("keep_raw", [True, False])
def test_a_replay_hands_over_the_very_session_that_was_parked(keep_raw):
    @virtual
    async def test():
        world = World(sessions=5, changes_per_hour=0)
        async with feed(world) as (_, client, _):
            seen, ledger = [], MemoryLedger()

            async def refuse(one):
                seen.append(one)
                raise ZeroDivisionError

            stream = client.sessions.stream(
                start_time=LONG_AGO, end_time=world.now, keep_raw=keep_raw
            )
            await consume(
                stream,
                refuse,
                name="x",
                store={},
                on_failure="park",
                ledger=ledger,
                retry=RetryPolicy(attempts=1),
                failure_ratio=1.0,
                clock=LoopClock(),
            )
            before, seen = seen, []
            await replay(ledger, refuse)
            assert seen == before
            assert {one.raw is not None for one in seen} == {keep_raw}

    test()


@virtual
async def test_a_replayed_handler_sees_the_callers_context_and_no_other_handlers():
    tenant = contextvars.ContextVar[str]("tenant")
    ledger, seen = await parked([session(n) for n in range(3)]), []

    async def handle(one):
        seen.append(tenant.get())
        tenant.set(one.id)

    tenant.set("acme")
    await replay(ledger, handle)
    assert seen == ["acme"] * 3
    assert tenant.get() == "acme"


@virtual
async def test_a_ledger_that_hangs_in_a_replay_is_reported():
    class Hanging(MemoryLedger):
        async def remove(self, failed):
            await asyncio.Event().wait()

    ledger, events = Hanging(), []
    await ledger.add(failed("a"))
    replaying = asyncio.ensure_future(replay(ledger, AsyncMock(), observer=events.append))
    await pass_time(OVERDUE + 1)
    assert events == [CallOverdue(what="changing a ledger", seconds=OVERDUE)]
    replaying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await replaying


@virtual
async def test_a_cancellation_out_of_a_ledger_is_an_error_of_the_replay():
    class Cancels(MemoryLedger):
        async def remove(self, failed):
            raise asyncio.CancelledError

    ledger = Cancels()
    await ledger.add(failed("a"))
    with pytest.raises(RuntimeError, match="CancelledError"):
        await replay(ledger, AsyncMock())


@virtual
async def test_a_cancellation_out_of_a_replayed_handler_is_its_failure():
    ledger = await parked([session(1)])
    result = await replay(ledger, AsyncMock(side_effect=asyncio.CancelledError))
    assert (result.handled, result.failed) == (0, 1)
    (one,) = await kept(ledger)
    assert one.error.startswith("RuntimeError: ")

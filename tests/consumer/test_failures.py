"""What fails is counted, described and stored, and stops no more than it must."""

import asyncio
from unittest.mock import AsyncMock

import msgspec
import pytest

from coachstream import (
    CorruptCheckpointError,
    FileLedger,
    MemoryLedger,
    RetryPolicy,
    StaleCheckpointError,
    TooManyFailuresError,
    replay,
)
from coachstream.checkpoints import MemoryStore, opening
from coachstream.consumer.failures import HANDFUL
from coachstream.consumer.ledger import LONGEST_ERROR
from coachstream.telemetry import ConsumerStopped, HandlerFailed
from tests.consumer.running import pages, run, session
from tests.support.virtual_time import pass_time, virtual

ONCE = RetryPolicy(attempts=1)


async def refuse(one):
    raise ZeroDivisionError(one.id)


def stopped(events):
    (event,) = [event for event in events if isinstance(event, ConsumerStopped)]
    return event


@virtual
async def test_by_default_a_handler_is_tried_five_times():
    events = []
    with pytest.raises(ZeroDivisionError):
        await run(pages([session(1)]), refuse, observer=events.append)
    assert [one.attempt for one in events if isinstance(one, HandlerFailed)] == [1, 2, 3, 4, 5]


@virtual
async def test_the_handlers_own_error_comes_before_that_of_the_last_save():
    class Stale(MemoryStore):
        async def save(self, name, position, *, after):
            if after:
                raise StaleCheckpointError("another consumer")
            return await super().save(name, position, after=after)

    events = []

    async def handle(one):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await run(pages([session(1)]), handle, retry=ONCE, store=Stale(), observer=events.append)
    assert isinstance(stopped(events).error, KeyError)


@virtual
async def test_what_the_ledger_did_not_take_is_not_counted_as_given_up():
    class Full(MemoryLedger):
        async def add(self, failed):
            raise PermissionError("read-only")

    events = []
    with pytest.raises(PermissionError, match="read-only"):
        await run(
            pages([session(1)]),
            refuse,
            retry=ONCE,
            on_failure="park",
            ledger=Full(),
            observer=events.append,
        )
    assert (stopped(events).given_up, stopped(events).unsettled) == (0, 1)


class WithoutEnd(MemoryStore):
    """A store that hangs while it loads, and whose closing fails."""

    async def _load(self, name):
        await pass_time(1e9)

    async def _close(self):
        raise OSError("closing failed")


@virtual
async def test_a_cancellation_while_loading_is_not_replaced_by_a_failure_to_close(monkeypatch):
    monkeypatch.setattr(opening, "MemoryStore", WithoutEnd)
    running = asyncio.ensure_future(run(pages([session(1)]), AsyncMock(), store="memory:"))
    await pass_time(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@virtual
async def test_an_error_while_loading_is_not_replaced_either(monkeypatch):
    class Corrupt(WithoutEnd):
        async def _load(self, name):
            raise CorruptCheckpointError("damaged")

    monkeypatch.setattr(opening, "MemoryStore", Corrupt)
    with pytest.raises(CorruptCheckpointError, match="damaged") as raised:
        await run(pages([session(1)]), AsyncMock(), store="memory:")
    assert raised.value.__notes__ == ["closing the store failed, too: OSError: closing failed"]


# Errors that can't be spelled


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "stored"),
    [
        (ValueError("half a pair: \ud83d"), "ValueError: half a pair: ?"),
        (UnspeakableError(), "UnspeakableError: (describing it raised RuntimeError)"),
        (ValueError("x" * 20_000_000), "ValueError: xxxxxxxx"),
    ],
    ids=["surrogate", "raises", "long"],
)
@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_session_whose_error_cannot_be_spelled_is_given_up_like_any(
    tmp_path, kind, error, stored
):
    async def handle(one):
        if one.id == "s3":
            raise error

    @virtual
    async def test():
        ledger = MemoryLedger() if kind == "memory" else FileLedger(tmp_path / "failed.jsonl")
        report = await run(
            pages([session(n) for n in range(9)]),
            handle,
            retry=ONCE,
            on_failure="park",
            ledger=ledger,
        )
        assert (report.handled, report.given_up) == (8, 1)
        result = await replay(ledger, handle)
        assert result.failed == 1
        (one,) = [one async for one in ledger.list()]
        assert one.error.startswith(stored)
        assert len(one.error) <= LONGEST_ERROR

    test()


@virtual
async def test_a_session_that_no_encoding_can_spell_is_given_up_like_any(tmp_path):
    """Pages of the caller's own may contain what the API's can't."""
    ledger = FileLedger(tmp_path / "failed.jsonl")
    note = msgspec.structs.replace(session(1), session_note="half a pair: \ud83d")
    report = await run(pages([note]), refuse, retry=ONCE, on_failure="park", ledger=ledger)
    assert report.given_up == 1
    handler = AsyncMock()
    assert (await replay(ledger, handler)).handled == 1
    assert handler.await_args is not None
    assert handler.await_args.args[0].session_note.startswith("half a pair: ")


# Too many


@virtual
async def test_a_beginning_without_success_gives_up_a_handful_however_often_it_is_begun():
    store, ledger, sessions = MemoryStore(), MemoryLedger(), [session(n) for n in range(600)]
    for start in range(1, 11):
        with pytest.raises(TooManyFailuresError):
            await run(
                pages(sessions), refuse, retry=ONCE, on_failure="park", ledger=ledger, store=store
            )
        assert len([one async for one in ledger.list()]) <= HANDFUL * start


@virtual
async def test_one_success_at_the_beginning_is_no_licence():
    ledger = MemoryLedger()

    async def handle(one):
        if one.id != "s0":
            raise ZeroDivisionError

    with pytest.raises(TooManyFailuresError, match="6 of the last 7 sessions failed"):
        await run(
            pages([session(n) for n in range(600)]),
            handle,
            retry=ONCE,
            on_failure="park",
            ledger=ledger,
        )
    assert len([one async for one in ledger.list()]) == HANDFUL


@virtual
async def test_whoever_allows_all_to_fail_is_not_stopped():
    sessions = [session(n) for n in range(100)]
    report = await run(pages(sessions), refuse, retry=ONCE, on_failure="skip", failure_ratio=1.0)
    assert report.given_up == 100


# Keys


def raises(one):
    if one.id == "s3":
        raise KeyError("no depot")
    return one.driver.driver_id


def cannot_be_hashed(one):
    return [] if one.id == "s3" else one.driver.driver_id


@pytest.mark.parametrize("key", [raises, cannot_be_hashed])
@pytest.mark.parametrize("on_failure", ["park", "skip", "stop"])
def test_a_key_that_fails_for_a_session_is_a_failure_of_that_session(key, on_failure):
    @virtual
    async def test():
        ledger, handled, store = MemoryLedger(), [], MemoryStore()

        async def handle(one):
            handled.append(one.id)

        running = run(
            pages([session(n) for n in range(9)]),
            handle,
            key=key,
            on_failure=on_failure,
            ledger=ledger,
            store=store,
        )
        if on_failure == "stop":
            with pytest.raises((KeyError, TypeError)):
                await running
            kept = await store.load("test")
            assert kept is None or session(3).key not in kept.position.settled
            return
        report = await running
        assert (report.handled, report.given_up, report.unsettled) == (8, 1, 0)
        assert "s3" not in handled
        assert [one.session_id async for one in ledger.list()] == ["s3"]

    test()


# Cancellations that nobody asked for


@virtual
async def test_a_cancellation_out_of_the_ledger_is_an_error():
    class Cancels(MemoryLedger):
        async def add(self, failed):
            raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="ledger of 'test' raised CancelledError"):
        await run(
            pages([session(1)]),
            refuse,
            retry=RetryPolicy(attempts=1, give_up_after=60),
            on_failure="park",
            ledger=Cancels(),
        )


@virtual
async def test_a_cancellation_out_of_the_pages_is_an_error_and_no_end():
    async def broken():
        async for page in pages([session(1)]):
            yield page
        raise asyncio.CancelledError

    async def handle(one):
        await pass_time(1)

    with pytest.raises(RuntimeError, match="CancelledError"):
        await run(broken(), handle)


@virtual
async def test_a_ledger_may_finish_its_clean_up_when_the_consumer_is_cancelled():
    cleaned = []

    class Slow(MemoryLedger):
        async def add(self, failed):
            try:
                await pass_time(1e6)
            finally:
                await pass_time(1)
                cleaned.append(failed.session_id)

    running = asyncio.ensure_future(
        run(pages([session(1)]), refuse, retry=ONCE, on_failure="park", ledger=Slow())
    )
    await pass_time(5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cleaned == ["s1"]

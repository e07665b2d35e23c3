"""Sessions that were given up are kept, listed, and played again."""

import stat
from datetime import UTC, datetime
from unittest.mock import AsyncMock

import msgspec
import pytest

from coachstream import (
    FailedSession,
    FileLedger,
    InvalidArgumentError,
    MemoryLedger,
    RetryPolicy,
    consume,
    replay,
)
from coachstream.emulator import World, malformed_session
from coachstream.testing.contracts import LedgerContract
from tests.support import payloads
from tests.support.emulated import LONG_AGO, feed
from tests.support.virtual_time import LoopClock, virtual


def failed(session_id, **changes):
    raw = msgspec.json.encode(payloads.SESSION | {"id": session_id}).decode()
    one = FailedSession(
        consumer="payroll",
        outcome="parked",
        session_id=session_id,
        updated_at_time=None,
        error="KeyError: 'x'",
        attempts=5,
        failed_at=datetime(2026, 1, 1, tzinfo=UTC),
        raw=raw,
    )
    return msgspec.structs.replace(one, **changes)


@pytest.fixture(params=["memory", "file"])
def ledger(request, tmp_path):
    return MemoryLedger() if request.param == "memory" else FileLedger(tmp_path / "failed.jsonl")


async def kept(ledger):
    return [one async for one in ledger.list()]


class TestEveryLedger(LedgerContract):
    """The suite that is public, for ledgers of anyone's."""

    @pytest.fixture(params=["memory", "file"])
    def make_ledger(self, request, tmp_path):
        memory = MemoryLedger()
        if request.param == "memory":
            return lambda: memory
        return lambda: FileLedger(tmp_path / "failed.jsonl")


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


async def test_a_replay_refuses_a_handler_that_is_not_async(ledger):
    with pytest.raises(InvalidArgumentError, match="^handler: "):
        await replay(ledger, print)  # type: ignore[arg-type]  # that is the point


async def test_a_file_is_read_again_and_nobody_else_may_read_it(tmp_path):
    path = tmp_path / "failed.jsonl"
    await FileLedger(path).add(failed("a"))
    await FileLedger(path).add(failed("b"))
    await FileLedger(path).remove(failed("a"))
    assert await kept(FileLedger(path)) == [failed("b")]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_line_that_a_crash_cut_off_costs_no_other(tmp_path):
    path = tmp_path / "failed.jsonl"
    ledger = FileLedger(path)
    await ledger.add(failed("a"))
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole[:cut])
        await ledger.add(failed("b"))
        names = {one.session_id for one in await kept(ledger)}
        assert names == {"a", "b"}


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


async def test_a_missing_directory_is_created(tmp_path):
    ledger = FileLedger(tmp_path / "not" / "there" / "failed.jsonl")
    assert [one async for one in ledger.list()] == []
    await ledger.add(failed("1"))
    assert [one.session_id async for one in ledger.list()] == ["1"]

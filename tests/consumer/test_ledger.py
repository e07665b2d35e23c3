"""Sessions that were given up are kept, listed, and played again."""

import stat
from datetime import UTC, datetime

import msgspec
import pytest

from coachstream import (
    FailedSession,
    FileLedger,
    MemoryLedger,
)
from coachstream.testing.contracts import LedgerContract
from tests.support import payloads


def failed(session_id, **changes):
    own = {"id": session_id, "driver": {"driverId": session_id}}
    raw = msgspec.json.encode(payloads.SESSION | own).decode()
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

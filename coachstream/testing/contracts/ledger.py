"""The test suite that every ledger must pass."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Literal

import pytest

from coachstream import CoachingSession, FailedSession, Ledger, replay

from .loops import Opener, on_a_loop

MakeLedger = Callable[[], Ledger | AbstractAsyncContextManager[Ledger]]
Ledgers = Opener[Ledger]

SESSION = (
    '{{"id":"{0}","updatedAtTime":"2026-01-01T00:00:00.000Z","driver":{{"driverId":"{0}"}},'
    '"sessionStatus":"upcoming","coachingType":"withManager","sessionNote":"\\u0000 é \\n"}}'
)


class LedgerContract:
    """Tests that your own `coachstream.Ledger` must pass.

    Subclass it in a test module, with a fixture that returns a factory::

        class TestMyLedger(LedgerContract):
            @pytest.fixture
            def make_ledger(self, tmp_path):
                return lambda: MyLedger(tmp_path / "ledger")

    Each test calls the factory once or several times, on a running loop. Each result must use the
    same storage, which is empty when the test begins. The factory may return a ledger, which is
    closed at the end if it has ``aclose``, or an async context manager of one.
    """

    @pytest.fixture
    def make_ledger(self) -> MakeLedger:
        """Return a factory for ledgers; override this."""
        raise NotImplementedError("override the fixture make_ledger: return a factory for ledgers")

    @on_a_loop
    async def test_what_is_added_is_listed_until_it_is_removed(self, make_ledger: Ledgers) -> None:
        ledger = await make_ledger()
        assert await _listed(ledger) == []
        one, two = _failed("a"), _failed("b", outcome="skipped")
        await ledger.add(one)
        await ledger.add(two)
        assert await _listed(ledger) == [one, two]
        await ledger.remove(one)
        assert await _listed(ledger) == [two]

    @on_a_loop
    async def test_the_oldest_comes_first(self, make_ledger: Ledgers) -> None:
        ledger = await make_ledger()
        added = [_failed(name) for name in "cabd"]
        for one in added:
            await ledger.add(one)
        assert await _listed(ledger) == added

    @on_a_loop
    async def test_removing_what_is_not_there_is_harmless(self, make_ledger: Ledgers) -> None:
        ledger = await make_ledger()
        await ledger.remove(_failed("a"))
        await ledger.add(_failed("a"))
        for _ in range(2):
            await ledger.remove(_failed("a"))
        assert await _listed(ledger) == []

    @on_a_loop
    async def test_one_that_fails_again_is_kept_once(self, make_ledger: Ledgers) -> None:
        ledger = await make_ledger()
        await ledger.add(_failed("a"))
        again = _failed("a", attempts=6)
        await ledger.add(again)
        assert await _listed(ledger) == [again]
        await ledger.remove(again)
        assert await _listed(ledger) == []

    @on_a_loop
    async def test_one_that_fails_again_keeps_its_place(self, make_ledger: Ledgers) -> None:
        ledger = await make_ledger()
        for name in "abc":
            await ledger.add(_failed(name))
        await ledger.add(_failed("a", attempts=6))
        assert [one.session_id for one in await _listed(ledger)] == ["a", "b", "c"]

    @on_a_loop
    async def test_one_is_removed_as_it_is_now_by_what_it_was(self, make_ledger: Ledgers) -> None:
        ledger = await make_ledger()
        before = _failed("a")
        await ledger.add(before)
        await ledger.add(_failed("a", attempts=6))
        await ledger.remove(before)
        assert await _listed(ledger) == []

    @on_a_loop
    async def test_consumers_do_not_interfere(self, make_ledger: Ledgers) -> None:
        ledger = await make_ledger()
        mine, theirs = _failed("a"), _failed("a", consumer="Pay roll ü")
        await ledger.add(mine)
        await ledger.add(theirs)
        await ledger.remove(mine)
        assert await _listed(ledger) == [theirs]

    @on_a_loop
    async def test_every_field_survives(self, make_ledger: Ledgers) -> None:
        ledger = await make_ledger()
        time = datetime(2026, 3, 1, 12, 0, 0, 123_457, tzinfo=UTC)
        one = FailedSession(
            consumer="\U0001f69a e\u0301",
            outcome="skipped",
            session_id=None,
            updated_at_time=time,
            error="two\nlines, 'quotes\" and \\ \u2028",
            attempts=1,
            failed_at=time,
            raw='{"not": "a session", "x": "' + "y" * 100_000 + '"}',
        )
        await ledger.add(one)
        assert await _listed(ledger) == [one]

    @on_a_loop
    async def test_what_was_done_is_there_after_reopening(self, make_ledger: Ledgers) -> None:
        await (await make_ledger()).add(_failed("a"))
        await (await make_ledger()).add(_failed("b"))
        await (await make_ledger()).remove(_failed("a"))
        assert await _listed(await make_ledger()) == [_failed("b")]

    @on_a_loop
    async def test_many_may_be_added_at_once(self, make_ledger: Ledgers) -> None:
        ledger = await make_ledger()
        added = [_failed(str(number)) for number in range(20)]
        await asyncio.gather(*(ledger.add(one) for one in added))
        assert {one.session_id for one in await _listed(ledger)} == {str(n) for n in range(20)}

    @on_a_loop
    async def test_it_may_change_while_it_is_listed(self, make_ledger: Ledgers) -> None:
        ledger = await make_ledger()
        for name in "abc":
            await ledger.add(_failed(name))
        listed = []
        async for one in ledger.list():
            listed.append(one.session_id)
            assert len(listed) <= 3, "what is added during the listing is listed again and again"
            if one.session_id == "b":
                await ledger.add(_failed("b", attempts=6))
            else:
                await ledger.remove(one)
        assert listed == ["a", "b", "c"]
        assert await _listed(ledger) == [_failed("b", attempts=6)]

    @on_a_loop
    async def test_a_replay_leaves_what_failed_again(self, make_ledger: Ledgers) -> None:
        ledger = await make_ledger()
        for name in "abc":
            await ledger.add(_failed(name))

        async def handle(session: CoachingSession) -> None:
            if session.id == "b":
                raise ValueError("still")

        result = await replay(ledger, handle)
        assert (result.handled, result.failed) == (2, 1)
        [left] = await _listed(ledger)
        assert (left.session_id, left.attempts, left.error) == ("b", 6, "ValueError: still")


def _failed(
    session_id: str,
    *,
    consumer: str = "payroll",
    outcome: Literal["skipped", "parked"] = "parked",
    attempts: int = 5,
) -> FailedSession:
    return FailedSession(
        consumer=consumer,
        outcome=outcome,
        session_id=session_id,
        updated_at_time=None,
        error="KeyError: 'x'",
        attempts=attempts,
        failed_at=datetime(2026, 1, 1, tzinfo=UTC),
        raw=SESSION.format(session_id),
    )


async def _listed(ledger: Ledger) -> list[FailedSession]:
    return [one async for one in ledger.list()]

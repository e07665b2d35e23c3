"""Tests of the service: against a server, with chosen faults, and in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import payroll
import pytest

from coachstream.testing import (
    Emulator,
    EmulatorThread,
    LoopClock,
    Profile,
    World,
    assert_limit_kept,
    assert_same_query,
    cut_short,
    fast_forward,
    hang_up,
    pass_time,
    quiet_world,
    refuse,
)

MONTHS = timedelta(days=100)


def expected(world: World) -> dict[str, str]:
    """Return the sessions that should have a bonus, and their drivers."""
    return {
        session["id"]: session["driver"]["driverId"]
        for session in world.sessions()
        if session["sessionStatus"] == "completed"
    }


# With the fixture: an emulator on a free port, in real time


def until_now(samsara: EmulatorThread, path: str) -> None:
    """Run the service over the sessions so far."""
    now = samsara.now
    asyncio.run(
        payroll.follow(path, since=now - MONTHS, until=now, token="any", base_url=samsara.url)
    )


def test_each_completed_session_has_its_bonus(samsara: EmulatorThread, tmp_path: Path) -> None:
    """Sessions that were completed before the service started."""
    path = str(tmp_path / "bonuses.db")
    until_now(samsara, path)
    assert payroll.bonuses(path) == expected(samsara.world) != {}


@pytest.mark.samsara(sessions=10, faults=[refuse(429, retry_after=0.1), hang_up(), cut_short()])
def test_faults_lose_no_bonus(samsara: EmulatorThread, tmp_path: Path) -> None:
    """After each fault, the client repeats the request with the same query."""
    path = str(tmp_path / "bonuses.db")
    until_now(samsara, path)
    assert payroll.bonuses(path) == expected(samsara.world)
    assert [request.status for request in samsara.requests] == [429, 0, 200, 200]
    assert_same_query(samsara.requests)


# On a loop in virtual time, with an emulator on the same loop


@asynccontextmanager
async def service(samsara: Emulator, path: str) -> AsyncIterator[None]:
    """Run the service in the background."""
    task = asyncio.create_task(
        payroll.follow(
            path,
            since=samsara.now - MONTHS,
            token="any",
            base_url=samsara.url,
            clock=LoopClock(),
        )
    )
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("profile", Profile.every(), ids=str)
@fast_forward
async def test_a_bonus_comes_and_goes_within_the_minute(tmp_path: Path, profile: Profile) -> None:
    """For each behaviour that the API's documentation leaves open."""
    path = str(tmp_path / "bonuses.db")
    async with Emulator(quiet_world(), profile=profile) as samsara, service(samsara, path):
        await pass_time(60)
        session = samsara.world.add_session()
        samsara.world.complete(session)
        await pass_time(60)
        assert payroll.bonuses(path)[session]
        samsara.world.delete(session)
        await pass_time(60)
        assert payroll.bonuses(path) == expected(samsara.world)
        assert_limit_kept(samsara.requests)


@fast_forward
async def test_a_restarted_service_continues_where_it_stopped(tmp_path: Path) -> None:
    """After a week of downtime, no session is missing, and none is read twice."""
    path = str(tmp_path / "bonuses.db")
    async with Emulator(quiet_world(sessions=0)) as samsara:
        for _ in range(3):
            async with service(samsara, path):
                await pass_time(60)
            samsara.advance(timedelta(days=7))
            samsara.world.complete(samsara.world.add_session())
        async with service(samsara, path):
            await pass_time(60)
        assert payroll.bonuses(path) == expected(samsara.world)
        served = [key for request in samsara.requests for key in request.served]
        assert len(served) == len(set(served)) == 3

"""A client connected to an emulator, and helpers for both."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any

from coachstream import Client, CoachingSession, Event, RateLimits, testing
from coachstream.emulator import Emulator, World
from tests.support.virtual_time import LoopClock

TOKEN = "token-for-tests-only"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

most_in_a_second = testing.most_in_a_second


@asynccontextmanager
async def feed(
    world: World | None = None, *, client: dict[str, Any] | None = None, **emulator: Any
) -> AsyncIterator[tuple[Emulator, Client, list[Event]]]:
    """Yield an emulator, its client, and the list of the client's events. Virtual time only."""
    events: list[Event] = []
    async with Emulator(world or World(sessions=0, changes_per_hour=0), **emulator) as api:
        arguments: dict[str, Any] = {
            "base_url": api.url,
            "clock": LoopClock(),
            "random": Random(1),
            "observer": events.append,
        }
        async with Client(TOKEN, **(arguments | (client or {}))) as one:
            yield api, one, events


def unlimited() -> dict[str, Any]:
    """Return arguments for `feed` without rate limits, on both sides."""
    return {
        "client": {"rate_limits": RateLimits(sessions=None, assignments=None)},
        "sessions_per_second": None,
        "assignments_per_second": None,
    }


def key(session: CoachingSession) -> tuple[str, str]:
    """Return the key of a version as the emulator writes it."""
    stamp = session.updated_at_time.astimezone(UTC).replace(tzinfo=None)
    return session.id, stamp.isoformat(timespec="milliseconds") + "Z"


def keys(sessions: Iterable[CoachingSession]) -> list[tuple[str, str]]:
    return [key(session) for session in sessions]

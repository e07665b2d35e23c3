"""Running ``consume`` on virtual time, over pages that need no HTTP."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from coachstream import Page, consume
from coachstream.checkpoints import MemoryStore
from coachstream.models import CoachingSession, Driver
from tests.support.virtual_time import LoopClock

BIRTH = datetime(2026, 1, 1, tzinfo=UTC)


def session(number, driver="1"):
    """A version of a session."""
    return CoachingSession(
        id=f"s{number}",
        updated_at_time=BIRTH + timedelta(seconds=number),
        driver=Driver(driver_id=driver),
        session_status="upcoming",
        coaching_type="unknown",
    )


async def pages(sessions, size=10):
    """An iterable of pages that needs no HTTP."""
    for start in range(0, len(sessions), size):
        part = tuple(sessions[start : start + size])
        yield Page(entries=part, end_cursor=f"c{start + size}", has_next_page=True, size=100)


def run(source, handler, **more):
    """Consume a stream, or an iterable of pages that no later run resumes, on virtual time."""
    if isinstance(source, AsyncGenerator):
        iterable, source = source, lambda _: iterable
    arguments: dict[str, Any] = {
        "name": "test",
        "store": MemoryStore(),
        "clock": LoopClock(),
        "random": Random(1),
    }
    return consume(source, handler, **(arguments | more))

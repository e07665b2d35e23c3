"""A bonus for each completed coaching session: a small service, as an example for tests.

SAMSARA_API_TOKEN=... python examples/testing/payroll.py bonuses.db
"""

import asyncio
import sqlite3
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import anyio

from coachstream import Client, Clock, CoachingSession, SessionStatus, consume

TABLE = "CREATE TABLE IF NOT EXISTS bonus (session TEXT PRIMARY KEY, driver TEXT)"


def record(path: str, session: CoachingSession) -> None:
    """Record or revoke a bonus. A session that is delivered again changes nothing."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(TABLE)
        if session.session_status == SessionStatus.COMPLETED:
            row = session.id, session.driver.driver_id
            database.execute("INSERT OR REPLACE INTO bonus VALUES (?, ?)", row)
        else:
            database.execute("DELETE FROM bonus WHERE session = ?", (session.id,))


def bonuses(path: str) -> dict[str, str]:
    """Return the driver of each session that has a bonus."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(TABLE)
        return dict(database.execute("SELECT session, driver FROM bonus"))


async def follow(
    path: str,
    *,
    since: datetime,
    until: datetime | None = None,
    token: str | None = None,
    base_url: str | None = None,
    clock: Clock | None = None,
) -> None:
    """Record bonuses for sessions completed from ``since`` on, ``until`` then or for ever.

    A test can set the server's address and the clock.
    """

    async def on_session(session: CoachingSession) -> None:
        await anyio.to_thread.run_sync(record, path, session)

    async with Client(token, base_url=base_url, clock=clock) as client:
        stream = client.sessions.stream(start_time=since, end_time=until)
        await consume(stream, on_session, name="payroll", store=f"sqlite:{path}", clock=clock)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(follow(sys.argv[1], since=datetime.now(UTC) - timedelta(days=90)))

"""A bonus for each coaching session completed: a small service, to show how one is tested.

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


def note(path: str, session: CoachingSession) -> None:
    """Note the bonus, or take it back; the same session may come again, and changes nothing."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(TABLE)
        if session.session_status == SessionStatus.COMPLETED:
            row = session.id, session.driver.driver_id
            database.execute("INSERT OR REPLACE INTO bonus VALUES (?, ?)", row)
        else:
            database.execute("DELETE FROM bonus WHERE session = ?", (session.id,))


def bonuses(path: str) -> dict[str, str]:
    """Return the driver of each session there is a bonus for."""
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
    """Note bonuses for what is completed from ``since`` on: for ever, or ``until``.

    Where the server is and what the time is, a test can say.
    """

    async def on_session(session: CoachingSession) -> None:
        await anyio.to_thread.run_sync(note, path, session)

    async with Client(token, base_url=base_url, clock=clock) as client:
        stream = client.sessions.stream(start_time=since, end_time=until)
        await consume(stream, on_session, name="payroll", store=f"sqlite:{path}", clock=clock)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(follow(sys.argv[1], since=datetime.now(UTC) - timedelta(days=90)))

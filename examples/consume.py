"""Keep a table of coaching sessions up to date, from now on and through every restart.

    SAMSARA_API_TOKEN=... python examples/consume.py sessions.db

Against an emulator (`coachstream emulate`), set SAMSARA_BASE_URL, too, to the URL that it prints.

The same file holds the table and the place in the feed. Versions may come twice, after a crash, and
of one driver always in order: so "insert or replace" is all that the table needs.
"""

import asyncio
import sqlite3
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import anyio

from coachstream import Client, CoachingSession, consume

TABLE = "CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, driver TEXT, status TEXT)"


def write(path: str, session: CoachingSession) -> None:
    """Write one session; blocking, so it is called in a thread."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(TABLE)
        row = session.id, session.driver.driver_id, session.session_status
        database.execute("INSERT OR REPLACE INTO session VALUES (?, ?, ?)", row)


async def main(path: str) -> None:
    """Follow the feed until Ctrl-C."""

    async def on_session(session: CoachingSession) -> None:
        await anyio.to_thread.run_sync(write, path, session)
        print(session.id, session.session_status)

    async with Client() as client:
        stream = client.sessions.stream(start_time=datetime.now(UTC) - timedelta(days=1))
        await consume(stream, on_session, name="table", store=f"sqlite:{path}", concurrency=4)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))

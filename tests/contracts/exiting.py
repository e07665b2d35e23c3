"""A process whose tenth handler calls ``sys.exit(3)``.

``python -m tests.contracts.exiting STORE [LEDGER|hang]``
prints the id of each session that it has handled or parked.
"""

import asyncio
import sys
import threading
from typing import Any

from coachstream import Client, CoachingSession, FileLedger, RateLimits, RetryPolicy, consume
from coachstream.checkpoints import redis, sqlite
from coachstream.checkpoints import store as checkpoints_store
from coachstream.emulator import Emulator, World
from coachstream.progress import checkpointer
from tests.support.emulated import LONG_AGO, TOKEN


def hang(*_: object, **__: object) -> Any:
    """Never return, as a disk or an import may."""
    threading.Event().wait()


class Handler:
    """Handles some sessions, refuses the others, and then exits."""

    def __init__(self, *, refuses: bool, disk_hangs: bool) -> None:
        self._refuses = refuses
        self._disk_hangs = disk_hangs
        self._count = 0

    async def __call__(self, session: CoachingSession) -> None:
        self._count += 1
        if self._disk_hangs:
            sqlite._replace = hang
        if self._count == 10:
            sys.exit(3)
        print(session.id, flush=True)  # noqa: T201  # the test reads it
        if self._refuses:
            raise ValueError(session.id)


async def main(store: str, *more: str) -> None:
    how: dict[str, Any] = {}
    if store.startswith("redis:"):
        redis._driver = hang
        asyncio.get_running_loop().call_later(0.3, sys.exit, 3)
    elif more == ("hang",):
        checkpointer.LAST_SAVE = checkpoints_store.CLOSING = 0.5
    elif more:
        how = {
            "ledger": FileLedger(*more),
            "on_failure": "park",
            "failure_ratio": 1.0,
            "retry": RetryPolicy(attempts=1),
        }
    async with (
        Emulator(World(sessions=40, changes_per_hour=0)) as api,
        Client(TOKEN, base_url=api.url, rate_limits=RateLimits(sessions=None)) as client,
    ):
        stream = client.sessions.stream(start_time=LONG_AGO)
        handler = Handler(refuses="ledger" in how, disk_hangs=more == ("hang",))
        await consume(stream, handler, name="it", store=store, concurrency=1, **how)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

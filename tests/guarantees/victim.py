"""Follows a feed and does its work, until it is killed or its standard input ends.

``python victim.py URL STORE LOG``. A line in the log is a version's effect: it stands there before
the handler returns. What happens is said on standard output, too, for whoever picks the moment.
"""

import asyncio
import os
import sys
from pathlib import Path
from random import Random
from unittest.mock import patch

from coachstream import (
    Client,
    CoachingSession,
    Event,
    RateLimits,
    SessionStream,
    SystemClock,
    consume,
)
from coachstream.telemetry import CheckpointSaved
from tests.support.emulated import LONG_AGO, TOKEN, key

NAME = "it"
SAVES, POLLS = 0.005, 0.02
"""Seconds between two of them: few, so that much happens in a life."""


def say(words: str) -> None:
    """Say it whole or not at all, whenever death comes."""
    os.write(1, f"{words}\n".encode())


class Work:
    """The handler."""

    def __init__(self, log: Path) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._chance = Random(log.name)

    async def __call__(self, session: CoachingSession) -> None:
        await self._dawdle(0.02)
        line = " ".join((*key(session), session.driver.driver_id))
        os.write(self._log, f"{line}\n".encode())
        say(f"handled {line}")
        await self._dawdle(0.01)  # in which the effect is there, and is not settled
        say(f"done {line}")

    async def _dawdle(self, longest: float) -> None:
        if self._chance.random() < 0.5:
            await SystemClock().sleep(longest * self._chance.random())


def tell(event: Event) -> None:
    """Say what the store has acknowledged."""
    if isinstance(event, CheckpointSaved):
        say(f"saved {event.revision}")


async def close_when_let_go(stream: SessionStream) -> None:
    """Wait for the end of standard input, which comes also when the test is killed."""
    said = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(said), sys.stdin)
    await said.read()
    await stream.aclose()


async def main(url: str, store: str, log: str) -> None:
    """Consume until told to stop."""
    work = Work(Path(log))
    limits = RateLimits(sessions=None)
    async with Client(TOKEN, base_url=url, rate_limits=limits, observer=tell) as client:
        stream = client.sessions.stream(start_time=LONG_AGO, poll_interval=POLLS)
        closing = asyncio.create_task(close_when_let_go(stream))
        say("begun")
        await consume(
            stream, work, name=NAME, store=store, concurrency=8, max_unsettled=50, observer=tell
        )
        await closing


if __name__ == "__main__":
    with patch("coachstream.consumer.run.INTERVAL", SAVES):
        asyncio.run(main(*sys.argv[1:]))

"""Follows a feed and handles its sessions, until it is killed or its standard input ends.

``python consumer_process.py URL STORE LOG``. The handler writes a line to the log for each version,
before it returns. Every step is also reported on standard output, so that the test can choose when
to kill the process.
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
SAVE_INTERVAL, POLL_INTERVAL = 0.005, 0.02
"""Seconds; short, so that much happens in a run."""


def write_message(words: str) -> None:
    """Write a message in one piece, so that a kill can't cut it off."""
    os.write(1, f"{words}\n".encode())


class Handler:
    """Writes each version to the log."""

    def __init__(self, log: Path) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._chance = Random(log.name)

    async def __call__(self, session: CoachingSession) -> None:
        await self._sleep_sometimes(0.02)
        line = " ".join((*key(session), session.driver.driver_id))
        os.write(self._log, f"{line}\n".encode())
        write_message(f"handled {line}")
        await self._sleep_sometimes(0.01)  # the line is written, and the version is not settled yet
        write_message(f"done {line}")

    async def _sleep_sometimes(self, longest: float) -> None:
        if self._chance.random() < 0.5:
            await SystemClock().sleep(longest * self._chance.random())


def report_save(event: Event) -> None:
    """Report a save that the store has acknowledged."""
    if isinstance(event, CheckpointSaved):
        write_message(f"saved {event.revision}")


async def close_at_end_of_input(stream: SessionStream) -> None:
    """Close the stream at the end of standard input, which comes even if the test is killed."""
    input_ = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(input_), sys.stdin)
    await input_.read()
    await stream.aclose()


async def main(url: str, store: str, log: str) -> None:
    """Consume until standard input ends."""
    handler = Handler(Path(log))
    limits = RateLimits(sessions=None)
    async with Client(TOKEN, base_url=url, rate_limits=limits, observer=report_save) as client:
        stream = client.sessions.stream(start_time=LONG_AGO, poll_interval=POLL_INTERVAL)
        closing = asyncio.create_task(close_at_end_of_input(stream))
        write_message("started")
        await consume(
            stream,
            handler,
            name=NAME,
            store=store,
            concurrency=8,
            max_unsettled=50,
            observer=report_save,
        )
        await closing


if __name__ == "__main__":
    with patch("coachstream.consumer.run.INTERVAL", SAVE_INTERVAL):
        asyncio.run(main(*sys.argv[1:]))

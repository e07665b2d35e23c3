"""Real time, under load: a consumer with a SQLite store, and an emulator in its own process."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

from coachstream import (
    Client,
    CoachingSession,
    Event,
    RateLimits,
    Report,
    RetryPolicy,
    SessionStream,
    SystemClock,
    consume,
)
from coachstream.telemetry import HandlerFailed, RetryScheduled, SaveFailed
from tests.soak.figures import Figure, SoakResult, descriptors, resident, tasks
from tests.support.emulated import LONG_AGO, TOKEN

GROWTH = {"RSS MiB": 2.0, "tasks": 4.0, "descriptors": 2.0}
"""The growth of each figure that is allowed."""
SCRIPT = Path(__file__).with_name("api.py")
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def api() -> AsyncIterator[str]:
    """Yield the URL of an emulator in a process of its own."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT)), stdin=pipe, stdout=pipe, env={"PYTHONPATH": str(ROOT)}
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


async def soak(*, seconds: float, every: float, directory: Path) -> SoakResult:
    """Consume for ``seconds``; sample the figures at intervals of ``every`` seconds."""
    clock, chance = SystemClock(), Random(1)
    result = SoakResult({name: Figure(name, growth) for name, growth in GROWTH.items()}, 0, 0)

    async def handle(session: CoachingSession) -> None:
        if chance.random() < 0.05:
            await clock.sleep(0.01 * chance.random())
        if chance.random() < 0.001:
            raise RuntimeError("on purpose")
        result.handled += 1

    def count(event: Event) -> None:
        result.faults += isinstance(event, RetryScheduled | HandlerFailed | SaveFailed)

    async with (
        api() as url,
        Client(
            TOKEN,
            base_url=url,
            rate_limits=RateLimits(sessions=None),
            retry=RetryPolicy(first_delay=0.05, max_delay=0.5),
            observer=count,
        ) as client,
    ):
        stream = client.sessions.stream(start_time=LONG_AGO, poll_interval=0.2)
        running = asyncio.ensure_future(
            consume(
                stream,
                handle,
                name="soak",
                store=f"sqlite:{directory / 'soak.db'}",
                retry=RetryPolicy(first_delay=0.01),
                observer=count,
            )
        )
        await _sample(result, running, stream, seconds=seconds, every=every)
    return result


async def _sample(
    result: SoakResult,
    running: "asyncio.Future[Report]",
    stream: SessionStream,
    *,
    seconds: float,
    every: float,
) -> None:
    clock = SystemClock()
    started = clock.monotonic()
    probes = {"RSS MiB": resident, "descriptors": descriptors}
    try:
        while clock.monotonic() - started < seconds and not running.done():
            await clock.sleep(every)
            now = clock.monotonic() - started
            for name, probe in probes.items():
                value = await asyncio.to_thread(partial(probe))
                result.figures[name].samples.append((now, value))
            result.figures["tasks"].samples.append((now, tasks()))
    finally:
        await stream.aclose()
        await running

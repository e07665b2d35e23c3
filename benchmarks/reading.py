"""Readers, and the measure of each: sessions per second and processor time per session."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from coachstream import Client, CoachingSession, Observer, RateLimits, RetryPolicy, consume

from . import isolated, rivals
from .servers import TOKEN, Server

END = datetime(2030, 1, 1, tzinfo=UTC)


class Run(msgspec.Struct, frozen=True):
    """What one reader did after warming up."""

    sessions: int
    seconds: float
    cpu_seconds: float
    """Processor time of the reader's process, all threads together."""

    @property
    def rate(self) -> float:
        """Sessions per second."""
        return self.sessions / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of processor time per session."""
        return self.cpu_seconds / self.sessions * 1e6


def new_client(url: str, *, rate: float | None = None, observer: Observer | None = None) -> Client:
    """Return a client that soon gives up when its server has gone.

    Args:
        url: The server's URL.
        rate: Requests for sessions per second; unlimited by default, which measures the library
            alone.
        observer: Called with every event.
    """
    return Client(
        TOKEN,
        base_url=url,
        rate_limits=RateLimits(sessions=rate),
        retry=RetryPolicy(give_up_after=20),
        observer=observer,
    )


async def stream(url: str, *, events: bool) -> int:
    """Read with ``async for``."""
    count = 0
    async with new_client(url) as client:
        sessions = client.sessions.stream(
            start_time=rivals.SINCE,
            end_time=END,
            include_coachable_events=events,
            include_external_ids=events,
        )
        async for _session in sessions:
            count += 1
    return count


async def consumer(url: str, *, events: bool) -> int:
    """Read with ``consume``, a handler that does nothing and a SQLite store."""

    async def on_session(_session: CoachingSession) -> None:
        pass

    with TemporaryDirectory() as directory:
        async with new_client(url) as client:
            sessions = client.sessions.stream(
                start_time=rivals.SINCE,
                end_time=END,
                include_coachable_events=events,
                include_external_ids=events,
            )
            store = f"sqlite:{Path(directory, 'checkpoint.db')}"
            report = await consume(sessions, on_session, name="benchmark", store=store)
    return report.handled


READERS: Mapping[str, Callable[..., Awaitable[int]]] = {
    "stream": stream,
    "consume": consumer,
    "by hand": rivals.by_hand,
    "samsara-api": rivals.samsara_api,
    "dlt": rivals.dlt,
}


async def read(reader: str, url: str, *, pages: int, warm_up: int, events: bool) -> Run:
    """Read some pages to warm up, then measure the rest."""
    read_pages = READERS[reader]
    await read_pages(f"{url}/{warm_up}", events=events)
    gc.collect()
    seconds, cpu_seconds = time.perf_counter(), time.process_time()
    sessions = await read_pages(f"{url}/{pages}", events=events)
    return Run(sessions, time.perf_counter() - seconds, time.process_time() - cpu_seconds)


def job(
    reader: str, server: Server, *, pages: int, warm_up: int, events: bool
) -> Callable[[], Run]:
    """Return a function that runs one round of a reader in a process of its own."""
    return partial(
        isolated.run, read, reader, server.url, pages=pages, warm_up=warm_up, events=events
    )


async def cancel_all(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks that follow a feed endlessly; one that has ended already raises its error."""
    for task in tasks:
        if task.done():
            await task
        task.cancel()
    await asyncio.wait(tasks)

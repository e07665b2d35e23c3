"""The measure of a reader: sessions per second, and what each costs in processor time."""

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

from . import fresh, rivals
from .served import TOKEN, Server

END = datetime(2030, 1, 1, tzinfo=UTC)


class Run(msgspec.Struct, frozen=True):
    """What one reader did, once warm."""

    sessions: int
    seconds: float
    cpu_seconds: float
    """Of the reader's process, all threads together."""

    @property
    def rate(self) -> float:
        """Sessions per second."""
        return self.sessions / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of processor time per session."""
        return self.cpu_seconds / self.sessions * 1e6


def client(url: str, *, rate: float | None = None, observer: Observer | None = None) -> Client:
    """Return a client that does not outlive its server by much.

    Args:
        url: The server's.
        rate: Requests for sessions per second; by default without limit, for what is asked then
            is what the library could do.
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
    async with client(url) as one:
        sessions = one.sessions.stream(
            start_time=rivals.SINCE,
            end_time=END,
            include_coachable_events=events,
            include_external_ids=events,
        )
        async for _session in sessions:
            count += 1
    return count


async def consumer(url: str, *, events: bool) -> int:
    """Read with ``consume``: a handler that does nothing, and the place kept in SQLite."""

    async def on_session(_session: CoachingSession) -> None:
        pass

    with TemporaryDirectory() as directory:
        async with client(url) as one:
            sessions = one.sessions.stream(
                start_time=rivals.SINCE,
                end_time=END,
                include_coachable_events=events,
                include_external_ids=events,
            )
            store = f"sqlite:{Path(directory, 'place.db')}"
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
    """Have a reader read some pages to get warm, and then those that count."""
    one = READERS[reader]
    await one(f"{url}/{warm_up}", events=events)
    gc.collect()
    seconds, cpu_seconds = time.perf_counter(), time.process_time()
    sessions = await one(f"{url}/{pages}", events=events)
    return Run(sessions, time.perf_counter() - seconds, time.process_time() - cpu_seconds)


def job(
    reader: str, server: Server, *, pages: int, warm_up: int, events: bool
) -> Callable[[], Run]:
    """Return a round of a reader, in a process of its own."""
    return partial(fresh.run, read, reader, server.url, pages=pages, warm_up=warm_up, events=events)


async def leave(following: Sequence[asyncio.Task[None]]) -> None:
    """Cancel what follows a feed for ever; what has ended before then has failed."""
    for task in following:
        if task.done():
            await task
        task.cancel()
    await asyncio.wait(following)

"""A thousand organisations followed by one process: its load, and how late polls are."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import msgspec

from coachstream.telemetry import Event, PageRead

from . import isolated
from .figure import Figure, Size, Spread
from .reading import cancel_all, new_client
from .rivals import SINCE
from .servers import Emulation, serving


class Load(msgspec.Struct, frozen=True):
    """The load of following."""

    share: float
    """The share of one core."""
    latest: float
    """Seconds by which the most delayed poll was late."""
    polls: int


def run(size: Size) -> Iterator[Figure]:
    """Follow with one client per stream, as each organisation has its own token."""
    count = size.pick(20, 1000)
    interval, polls = size.pick((0.5, 3), (5.0, 6))
    what = Emulation(sessions=0, page_size=100, changes_per_hour=3600.0)
    for name, spread in (("started one after another", interval), ("started all at once", 0.0)):
        with serving(what) as server:
            load = isolated.run(
                follow, server.url, count=count, interval=interval, polls=polls, spread=spread
            )
        where = f"{count:,} streams, {interval:g} s polls, {name}"
        yield Figure(
            what=where,
            unit="% of one core",
            ours=Spread.of([100 * load.share]),
            most=50.0,
            note=f"{load.polls:,} polls",
        )
        yield Figure(
            what=f"{where}: the most delayed poll",
            unit="s late",
            ours=Spread.of([load.latest]),
            most=1.0,
        )


async def follow(url: str, *, count: int, interval: float, polls: int, spread: float) -> Load:
    """Follow with ``count`` streams, started over ``spread`` seconds, for ``polls`` intervals."""
    reads: list[list[float]] = [[] for _ in range(count)]

    def record(times: list[float], event: Event) -> None:
        if isinstance(event, PageRead):
            times.append(time.perf_counter())

    async def follow_one(number: int) -> None:
        await asyncio.sleep(spread * number / count)
        observer = partial(record, reads[number])
        async with new_client(url, rate=5.0, observer=observer) as client:
            async for _session in client.sessions.stream(start_time=SINCE, poll_interval=interval):
                pass

    following = [asyncio.create_task(follow_one(number)) for number in range(count)]
    await asyncio.sleep(spread + interval)  # the start is not measured
    since, cpu_seconds = time.perf_counter(), time.process_time()
    await asyncio.sleep(interval * polls)
    until, cpu_seconds = time.perf_counter(), time.process_time() - cpu_seconds
    await cancel_all(following)
    # A poll that is still missing counts as well.
    gaps = [b - a for times in reads for a, b in pairwise([*times, until]) if since < b <= until]
    polls_read = sum(since < read <= until for times in reads for read in times)
    return Load(share=cpu_seconds / (until - since), latest=max(gaps) - interval, polls=polls_read)

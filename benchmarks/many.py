"""A thousand organisations followed by one process: what it takes of a core, and who waits."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import msgspec

from coachstream.telemetry import Event, PageRead

from . import fresh
from .figure import Figure, Size, Spread
from .reading import client, leave
from .rivals import SINCE
from .served import Emulation, serving


class Load(msgspec.Struct, frozen=True):
    """What following took."""

    share: float
    """Of one core."""
    latest: float
    """Seconds by which the latest poll came after its time."""
    polls: int


def run(size: Size) -> Iterator[Figure]:
    """Follow with a client of its own for each stream, as each organisation has its own token."""
    count = size.pick(20, 1000)
    interval, polls = size.pick((0.5, 3), (5.0, 6))
    what = Emulation(sessions=0, page_size=100, changes_per_hour=3600.0)
    for name, spread in (("begun one after another", interval), ("begun all at once", 0.0)):
        with serving(what) as server:
            load = fresh.run(
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
            what=f"{where}: the latest poll",
            unit="s late",
            ours=Spread.of([load.latest]),
            most=1.0,
        )


async def follow(url: str, *, count: int, interval: float, polls: int, spread: float) -> Load:
    """Follow with ``count`` streams begun over ``spread`` seconds, for ``polls`` intervals."""
    reads: list[list[float]] = [[] for _ in range(count)]

    def note(times: list[float], event: Event) -> None:
        if isinstance(event, PageRead):
            times.append(time.perf_counter())

    async def one(number: int) -> None:
        await asyncio.sleep(spread * number / count)
        observer = partial(note, reads[number])
        async with client(url, rate=5.0, observer=observer) as its_own:
            async for _session in its_own.sessions.stream(start_time=SINCE, poll_interval=interval):
                pass

    following = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.sleep(spread + interval)  # what beginning takes is not what following takes
    since, cpu_seconds = time.perf_counter(), time.process_time()
    await asyncio.sleep(interval * polls)
    until, cpu_seconds = time.perf_counter(), time.process_time() - cpu_seconds
    await leave(following)
    # What has been waited for in vain until now counts as well.
    gaps = [b - a for times in reads for a, b in pairwise([*times, until]) if since < b <= until]
    polls_read = sum(since < read <= until for times in reads for read in times)
    return Load(share=cpu_seconds / (until - since), latest=max(gaps) - interval, polls=polls_read)

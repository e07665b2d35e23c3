"""The cost of a session by length of the feed, number of streams and size of pages."""

import asyncio
import gc
import time
from collections.abc import Iterator, Mapping

from . import isolated
from .figure import Figure, Size, Spread
from .reading import Run, read, stream
from .servers import Recording, serving

TOLERANCE = 1.25
"""Costs up to this multiple of the lowest count as equal."""


def run(size: Size) -> Iterator[Figure]:
    """Vary one thing at a time."""
    counts = size.pick((1_000,), (1_000, 10_000, 100_000, 1_000_000))
    counts += size.pick((), (), (10_000_000,))
    with serving(Recording(500)) as server:
        yield from _figures(
            "sessions of one stream",
            {count: _stream(server.url, count // 500) for count in counts},
        )
    with serving(Recording(100)) as server:
        total = size.pick(2_000, 200_000)
        yield from _figures(
            f"streams in one process, {total:,} sessions in all",
            {
                count: isolated.run(streams, server.url, count=count, pages=total // 100 // count)
                for count in size.pick((1, 10), (1, 10, 100, 1000))
            },
        )
    yield from _figures("sessions on a page", dict(_page_sizes(size)))


def _stream(url: str, pages: int) -> Run:
    return isolated.run(read, "stream", url, pages=pages, warm_up=2, events=False)


def _page_sizes(size: Size) -> Iterator[tuple[int, Run]]:
    for page_size in size.pick((1, 100), (1, 10, 50, 100, 200, 512, 2048)):
        with serving(Recording(page_size)) as server:
            pages = max(4, min(size.pick(50, 3_000), 100_000 // page_size))
            yield page_size, _stream(server.url, pages)


async def streams(url: str, *, count: int, pages: int) -> Run:
    """Read with many streams at once, each with its own client and connection."""
    await stream(f"{url}/2", events=False)
    gc.collect()
    seconds, cpu_seconds = time.perf_counter(), time.process_time()
    reads = [stream(f"{url}/{pages}", events=False) for _ in range(count)]
    sessions = sum(await asyncio.gather(*reads))
    return Run(sessions, time.perf_counter() - seconds, time.process_time() - cpu_seconds)


def _figures(what: str, runs: Mapping[int, Run]) -> Iterator[Figure]:
    for number, result in runs.items():
        yield Figure(
            what=f"{number:,} {what}",
            unit="us of processor per session",
            ours=Spread.of([result.cost]),
            note=f"{result.rate:,.0f} sessions/s",
        )
    least = min(one.cost for one in runs.values())
    yield Figure(
        what=f"{what}: highest cost by lowest",
        unit="",
        ours=Spread.of([max(one.cost for one in runs.values()) / least]),
        note=_verdict(
            [number for number, one in runs.items() if one.cost <= TOLERANCE * least], runs
        ),
    )


def _verdict(similar: list[int], runs: Mapping[int, Run]) -> str:
    if len(similar) == len(runs):
        return "constant"
    return f"within {TOLERANCE - 1:.0%} of the lowest from {similar[0]:,} to {similar[-1]:,}"

"""A backfill of a year under the limit, by latency: one reader, several, the vendor's SDK."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import msgspec

from . import isolated, rivals
from .backfilling import RATE, SECOND, backfill
from .figure import Figure, Size, Spread
from .plot import draw
from .reading import new_client
from .servers import Emulation, serving

PAGE_SIZE = 100
PAGES_A_YEAR = 2_000
"""A fleet of some thousands of drivers: 200,000 versions of sessions per year."""
SDK = "samsara-api"


class Point(msgspec.Struct, frozen=True):
    """One reader at one latency."""

    reader: str
    latency: float
    """Seconds each response takes."""
    page_seconds: float | None
    """Average seconds per page; None: the reader was refused."""

    @property
    def minutes(self) -> float:
        """Minutes that a year takes at that rate."""
        assert self.page_seconds is not None
        return self.page_seconds * PAGES_A_YEAR / 60


def run(size: Size, plot: Path | None = None) -> Iterator[Figure]:
    """Measure some pages for each reader and latency, and extrapolate to a year."""
    pages = size.pick(8, 60)
    points = []
    for latency in size.pick((0.25,), (0.1, 0.25, 0.5, 1.0, 2.0)):
        for point in _measure(latency, pages):
            points.append(point)
            yield _figure(point, pages)
    if plot is not None:
        caption = (
            f"Measured on {pages} pages of {PAGE_SIZE} sessions at 5 requests/s, "
            f"extrapolated to a year of {PAGES_A_YEAR * PAGE_SIZE:,} sessions"
        )
        curves: dict[str, list[tuple[float, float]]] = {}
        for point in points:
            if point.page_seconds is not None:
                curves.setdefault(point.reader, []).append((point.latency, point.minutes))
        draw(plot, curves, least=PAGES_A_YEAR / RATE / 60, caption=caption)


def _measure(latency: float, pages: int) -> Iterator[Point]:
    """Run all readers at once, as they mostly wait, each with a server of its own."""
    what = Emulation(sessions=pages * PAGE_SIZE, page_size=PAGE_SIZE, latency=latency, rate=RATE)
    until = what.world().now + SECOND
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(what)).url for _ in range(4)]
        started: dict[str, isolated.Started[float] | isolated.Started[float | None]] = {
            "one reader": isolated.start(one_reader, urls[0], until=until),
            "5 readers": isolated.start(several_readers, urls[1], until=until, readers=5),
            "10 readers": isolated.start(several_readers, urls[2], until=until, readers=10),
        }
        if not rivals.missing(SDK):
            started[SDK] = isolated.start(sdk, urls[3])
        for job in started.values():
            stack.callback(job.stop)
        for name, job in started.items():
            seconds = job.result()
            yield Point(name, latency, None if seconds is None else seconds / pages)


async def one_reader(url: str, *, until: datetime) -> float:
    """Read page after page."""
    started = time.perf_counter()
    async with new_client(url, rate=RATE) as client:
        async for _session in client.sessions.stream(start_time=rivals.SINCE, end_time=until):
            pass
    return time.perf_counter() - started


async def several_readers(url: str, *, until: datetime, readers: int) -> float:
    """Read several windows of time at once."""
    return (await backfill(url, until=until, readers=readers)).seconds


async def sdk(url: str) -> float | None:
    """Read with the SDK, which does not limit its rate; return None if it was refused."""
    from samsara.core.api_error import ApiError

    started = time.perf_counter()
    try:
        await rivals.samsara_api(url, events=False)
    except ApiError:
        return None
    return time.perf_counter() - started


def _figure(point: Point, pages: int) -> Figure:
    what = f"a year by {point.reader}, {point.latency:g} s latency"
    if point.page_seconds is None:
        return Figure(what=what, unit="minutes", note="stopped by a 429")
    return Figure(
        what=what,
        unit="minutes",
        ours=Spread.of([point.minutes]),
        note=f"extrapolated from {pages} pages at {point.page_seconds:.3g} s",
    )

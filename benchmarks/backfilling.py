"""The past, read as fast as the limit of five requests a second lets anyone read it."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from . import fresh
from .figure import Figure, Size, Spread
from .reading import client
from .served import Emulation, serving

RATE = 5.0
PAGE_SIZE = 20
SECOND = timedelta(seconds=1)


class Backfill(msgspec.Struct, frozen=True):
    """What was read."""

    versions: list[tuple[str, str]]
    """Each session's id and updatedAtTime, as the API spells it."""
    seconds: float


def run(size: Size) -> Iterator[Figure]:
    """Read a whole world under a strict limit, at two latencies."""
    pages = size.pick(12, 150)
    for latency in size.pick((0.1,), (0.3, 1.0)):
        what = Emulation(
            sessions=pages * PAGE_SIZE, page_size=PAGE_SIZE, latency=latency, rate=RATE
        )
        world = what.world()
        with serving(what) as server:
            done = fresh.run(backfill, server.url, until=world.now + SECOND, readers=8)
        assert server.seen is not None
        arrivals = server.seen.arrivals
        per_second = (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])
        where = f"at {latency:g} s latency"
        yield Figure(
            what=f"share of the limit used, {where}",
            unit="of 5 requests/s",
            ours=Spread.of([per_second / RATE]),
            least=0.97,
            note=f"{len(arrivals)} requests",
        )
        yield Figure(
            what=f"share of the least possible time, {where}",
            unit=f"of {pages} full pages at 5/s",
            ours=Spread.of([pages / RATE / done.seconds]),
        )
        yield Figure(
            what=f"answers 429, {where}", unit="", ours=Spread.of([server.seen.refused]), most=0.0
        )
        yield Figure(
            what=f"versions not read, or read that are none, {where}",
            unit="",
            ours=Spread.of([len(world.latest() ^ set(done.versions))]),
            most=0.0,
        )


async def backfill(url: str, *, until: datetime, readers: int) -> Backfill:
    """Read all that happened until a moment."""
    versions = []
    begun = time.perf_counter()
    async with (
        client(url, rate=RATE) as one,
        one.sessions.backfill(
            start_time=until - timedelta(days=91), end_time=until, readers=readers
        ) as sessions,
    ):
        async for session in sessions:
            stamp = session.updated_at_time.astimezone(UTC).replace(tzinfo=None)
            versions.append((session.id, stamp.isoformat(timespec="milliseconds") + "Z"))
    return Backfill(versions, time.perf_counter() - begun)

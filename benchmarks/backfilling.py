"""A backfill under the limit of five requests per second: how much of the limit it uses."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from . import isolated
from .figure import Figure, Size, Spread
from .reading import new_client
from .servers import Emulation, serving

RATE = 5.0
PAGE_SIZE = 20
SECOND = timedelta(seconds=1)


class Backfill(msgspec.Struct, frozen=True):
    """The result of one backfill."""

    versions: list[tuple[str, str]]
    """Each session's id and updatedAtTime, in the API's format."""
    seconds: float


def run(size: Size) -> Iterator[Figure]:
    """Read all sessions under a strict limit, at two latencies."""
    pages = size.pick(12, 150)
    for latency in size.pick((0.1,), (0.3, 1.0)):
        what = Emulation(
            sessions=pages * PAGE_SIZE, page_size=PAGE_SIZE, latency=latency, rate=RATE
        )
        world = what.world()
        with serving(what) as server:
            done = isolated.run(backfill, server.url, until=world.now + SECOND, readers=8)
        assert server.log is not None
        arrivals = server.log.arrivals
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
            what=f"responses with 429, {where}",
            unit="",
            ours=Spread.of([server.log.refused]),
            most=0.0,
        )
        yield Figure(
            what=f"versions missing or unexpected, {where}",
            unit="",
            ours=Spread.of([len(world.latest() ^ set(done.versions))]),
            most=0.0,
        )


async def backfill(url: str, *, until: datetime, readers: int) -> Backfill:
    """Read all sessions that changed before ``until``."""
    versions = []
    started = time.perf_counter()
    async with (
        new_client(url, rate=RATE) as client,
        client.sessions.backfill(
            start_time=until - timedelta(days=91), end_time=until, readers=readers
        ) as sessions,
    ):
        async for session in sessions:
            stamp = session.updated_at_time.astimezone(UTC).replace(tzinfo=None)
            versions.append((session.id, stamp.isoformat(timespec="milliseconds") + "Z"))
    return Backfill(versions, time.perf_counter() - started)

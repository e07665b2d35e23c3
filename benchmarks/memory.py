"""How much the memory of a stream grows as it goes on."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from . import isolated
from .figure import Figure, Size, Spread
from .reading import END, new_client
from .rivals import SINCE
from .servers import Recording, serving

STATUS = Path("/proc/self/status")
PAGE_SIZE = 512


class Peaks(msgspec.Struct, frozen=True):
    """The peak memory of the process, in KiB."""

    early: int
    late: int


def run(size: Size) -> Iterator[Figure]:
    """Measure by how much peak memory grows after the first sessions."""
    early, late = size.pick((2_000, 10_000), (100_000, 1_000_000), (100_000, 10_000_000))
    what = f"growth from {early:,} to {late:,} sessions streamed"
    if not STATUS.exists():
        yield Figure(what=what, unit="MiB", most=2.0, note="needs Linux's /proc")
        return
    with serving(Recording(PAGE_SIZE)) as server:
        peaks = [
            isolated.run(stream, server.url, early=early, late=late)
            for _ in range(size.pick(1, 3, 1))
        ]
    yield Figure(
        what=what,
        unit="MiB",
        ours=Spread.of([(one.late - one.early) / 1024 for one in peaks]),
        most=2.0,
    )
    yield Figure(
        what="peak at the end, interpreter included",
        unit="MiB",
        ours=Spread.of([one.late / 1024 for one in peaks]),
    )


async def stream(url: str, *, early: int, late: int) -> Peaks:
    """Stream ``late`` sessions; read the peak after ``early`` of them and at the end."""
    count = peak = 0
    async with new_client(f"{url}/{late // PAGE_SIZE}") as client:
        async for _session in client.sessions.stream(start_time=SINCE, end_time=END):
            count += 1
            if count == early:
                peak = _peak()
    return Peaks(peak, _peak())


def _peak() -> int:
    """Return the peak memory of this process, without that of its parent."""
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

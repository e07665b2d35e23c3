"""Sessions per second, from HTTP to the body of the loop, compared with other readers."""

from collections.abc import Iterator

from . import rivals
from .figure import Figure, Size, compare
from .isolated import rounds
from .reading import Run, job
from .servers import Recording, serving

TARGETS = {"by hand": 1.1, "samsara-api": 60.0, "dlt": 4.0}
SLOWER = {"stream": 1, "by hand": 1, "samsara-api": 40, "dlt": 8}
"""Divisors of the number of sessions, so that no reader takes minutes."""


def run(size: Size) -> Iterator[Figure]:
    """Compare at both page sizes, with and without the events of each session."""
    for events in (False, True):
        for page_size in size.pick((100,), (100, 512)):
            yield from _compare(size, page_size, events=events)


def _compare(size: Size, page_size: int, *, events: bool) -> Iterator[Figure]:
    sessions = size.pick(2_000, 40_000 if events else 160_000)
    shape = f"{page_size} per page, {'with' if events else 'without'} events"
    with serving(Recording(page_size, events)) as server:
        jobs = {
            reader: job(
                reader,
                server,
                pages=max(1, sessions // slower // page_size),
                warm_up=max(1, sessions // slower // page_size // 4),
                events=events,
            )
            for reader, slower in SLOWER.items()
            if reader == "stream" or not rivals.missing(reader)
        }
        results = rounds(size.pick(1, 5), jobs)
    for rival, least in TARGETS.items():
        if rival in results:
            yield from _figures(shape, rival, results["stream"], results[rival], least)
        else:
            yield Figure(
                what=shape, unit="sessions/s", rival=rival, least=least, note="not installed"
            )


def _figures(
    shape: str, rival: str, ours: list[Run], theirs: list[Run], least: float
) -> Iterator[Figure]:
    yield compare(
        shape,
        "sessions/s",
        ours=[one.rate for one in ours],
        rival=rival,
        theirs=[one.rate for one in theirs],
        least=least,
    )
    yield compare(
        shape,
        "us of processor per session",
        ours=[one.cost for one in ours],
        rival=rival,
        theirs=[one.cost for one in theirs],
    )

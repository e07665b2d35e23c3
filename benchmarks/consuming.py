"""``consume()`` with an empty handler and a SQLite store, compared with a loop by hand."""

from collections.abc import Iterator

from .figure import Figure, Size, compare
from .isolated import rounds
from .reading import job
from .servers import Recording, serving


def run(size: Size) -> Iterator[Figure]:
    """Compare at 512 sessions per page, without events, where overhead shows most."""
    pages = size.pick(4, 200)
    with serving(Recording(512)) as server:
        jobs = {
            reader: job(reader, server, pages=pages, warm_up=max(1, pages // 4), events=False)
            for reader in ("consume", "by hand")
        }
        results = rounds(size.pick(1, 5), jobs)
    ours, theirs = results["consume"], results["by hand"]
    yield compare(
        "empty handler, SQLite store",
        "sessions/s",
        ours=[one.rate for one in ours],
        rival="by hand",
        theirs=[one.rate for one in theirs],
        least=0.5,
    )
    yield compare(
        "empty handler, SQLite store",
        "us of processor per session",
        ours=[one.cost for one in ours],
        rival="by hand",
        theirs=[one.cost for one in theirs],
    )

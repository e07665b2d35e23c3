"""The time that ``import coachstream`` takes, beside that of what it needs anyway."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from tempfile import TemporaryDirectory

from .figure import Figure, Size, beside
from .fresh import rounds

TIMED = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
OURS, NEEDED = "coachstream", "aiohttp, aiolimiter, anyio, msgspec"


def run(size: Size) -> Iterator[Figure]:
    """Compare fresh interpreters, their compiled files written by a first one."""
    with TemporaryDirectory() as compiled:
        jobs = {names: partial(_seconds, names, compiled) for names in (OURS, NEEDED)}
        rounds(1, jobs)
        results = rounds(size.pick(1, 21), jobs)
    yield beside(
        "import coachstream",
        "ms",
        ours=[1000 * one for one in results[OURS]],
        rival="its four dependencies",
        theirs=[1000 * one for one in results[NEEDED]],
        most=1.25,
    )


def _seconds(names: str, compiled: str) -> float:
    command = [sys.executable, "-X", f"pycache_prefix={compiled}", "-c", TIMED.format(names)]
    # Some environments forbid to write compiled files, and each import would compile again.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(  # noqa: S603  # our own
        command, check=True, capture_output=True, env=environment
    )
    return float(done.stdout)

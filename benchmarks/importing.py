"""The time that ``import coachstream`` takes, compared with importing its dependencies."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from tempfile import TemporaryDirectory

from .figure import Figure, Size, compare
from .isolated import rounds

TIMED_IMPORT = (
    "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
)
OURS, DEPENDENCIES = "coachstream", "aiohttp, aiolimiter, anyio, msgspec"


def run(size: Size) -> Iterator[Figure]:
    """Compare fresh interpreters, after a first one has written the compiled files."""
    with TemporaryDirectory() as cache:
        jobs = {names: partial(_seconds, names, cache) for names in (OURS, DEPENDENCIES)}
        rounds(1, jobs)
        results = rounds(size.pick(1, 21), jobs)
    yield compare(
        "import coachstream",
        "ms",
        ours=[1000 * one for one in results[OURS]],
        rival="its four dependencies",
        theirs=[1000 * one for one in results[DEPENDENCIES]],
        most=1.25,
    )


def _seconds(names: str, cache: str) -> float:
    command = [sys.executable, "-X", f"pycache_prefix={cache}", "-c", TIMED_IMPORT.format(names)]
    # With this variable set, every import would compile again.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.run(  # noqa: S603  # our own program
        command, check=True, capture_output=True, env=environment
    )
    return float(process.stdout)

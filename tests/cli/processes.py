"""Commands as a shell runs them: in processes of their own, with pipes and signals."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping

SELF = [sys.executable, "-W", "error", "-m", "coachstream"]
ENVIRONMENT = {**os.environ, "SAMSARA_API_TOKEN": "tok-tok-token"}
TIMEOUT = 30
"""Seconds after which a process that has not ended is a failure."""


def start(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(  # runs only this package
        [*SELF, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**ENVIRONMENT, **(env or {})},
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return the exit code, and the rest of stdout and stderr."""
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    return process.returncode, out, err


def run(*arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    return finish(start(*arguments, env=env))


async def run_in_thread(
    *arguments: str, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run a command without blocking this test's loop; return what `finish` returns."""
    return await asyncio.to_thread(run, *arguments, env=env)

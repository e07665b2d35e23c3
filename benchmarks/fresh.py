"""Jobs in processes of their own: no round profits from, or pays for, what ran before it."""

import asyncio
import importlib
import inspect
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ParamSpec, TypeVar, get_type_hints

import msgspec

P = ParamSpec("P")
R = TypeVar("R")


def run(job: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a module's async function in a fresh interpreter and return what it returns.

    Arguments and result travel as JSON; the result has the type the function is annotated with.
    """
    return wait(start(job, *args, **kwargs))


class Started(msgspec.Struct):
    """A job that runs."""

    process: subprocess.Popen[bytes]
    returns: Any
    """The type of its result."""


def start(job: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Started:
    """Start a job as `run` does, without waiting for its end."""
    call = msgspec.json.encode((job.__module__, job.__qualname__, args, kwargs))
    command = [sys.executable, "-m", "benchmarks.fresh", call.decode()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603  # our own program
    return Started(process, get_type_hints(job)["return"])


def wait(started: Started) -> Any:
    """Return a started job's result."""
    told, _ = started.process.communicate()
    if started.process.returncode:
        raise RuntimeError(f"a job failed: {started.process.args!r}")
    return msgspec.json.decode(told.splitlines()[-1], type=started.returns)


def rounds(count: int, jobs: Mapping[str, Callable[[], R]]) -> dict[str, list[R]]:
    """Run the jobs one after another, ``count`` times, every other time the other way round.

    So what slows the machine for a while slows all of them, and nobody is always first.
    """
    results: dict[str, list[R]] = {name: [] for name in jobs}
    for number in range(count):
        for name in list(jobs)[:: -1 if number % 2 else 1]:
            results[name].append(jobs[name]())
    return results


def main() -> None:
    """Do the one job that the command line names."""
    module, name, args, kwargs = msgspec.json.decode(sys.argv[1])
    job = getattr(importlib.import_module(module), name)
    bound = inspect.signature(job).bind(*args, **kwargs)
    result = asyncio.run(job(*bound.args, **bound.kwargs))
    sys.stdout.buffer.write(b"\n" + msgspec.json.encode(result) + b"\n")


if __name__ == "__main__":
    main()

"""Jobs in processes of their own, so that no round is affected by those before it."""

import asyncio
import importlib
import inspect
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, ParamSpec, TypeVar, get_type_hints

import msgspec

P = ParamSpec("P")
R = TypeVar("R")


def run(job: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a module's async function in a fresh interpreter and return its result.

    Arguments and result are passed as JSON and converted to the function's annotated types.
    """
    return start(job, *args, **kwargs).result()


class Started(Generic[R]):
    """A running job."""

    def __init__(self, process: subprocess.Popen[bytes], returns: type[R]) -> None:
        self._process = process
        self._returns = returns

    def stop(self) -> None:
        """Kill the job if it is still running."""
        self._process.kill()
        self._process.wait()

    def result(self) -> R:
        """Wait for the job and return its result."""
        output, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"a job failed: {self._process.args!r}")
        return msgspec.json.decode(output.splitlines()[-1], type=self._returns)


def start(job: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> Started[R]:
    """Start a job as `run` does, without waiting for it."""
    call = msgspec.json.encode((job.__module__, job.__name__, args, kwargs))
    command = [sys.executable, "-m", "benchmarks.isolated", call.decode()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603  # our own program
    return Started(process, get_type_hints(job)["return"])


def rounds(count: int, jobs: Mapping[str, Callable[[], R]]) -> dict[str, list[R]]:
    """Run the jobs one after another, ``count`` times, in alternating order.

    So a temporary slowdown of the machine affects all of them, and no job is always first.
    """
    results: dict[str, list[R]] = {name: [] for name in jobs}
    for number in range(count):
        for name in list(jobs)[:: -1 if number % 2 else 1]:
            results[name].append(jobs[name]())
    return results


def main() -> None:
    """Run the job that the command line names."""
    module, name, args, kwargs = msgspec.json.decode(sys.argv[1])
    job = getattr(importlib.import_module(module), name)
    given = inspect.signature(job).bind(*args, **kwargs).arguments
    types = get_type_hints(job)
    typed = {name: msgspec.convert(value, types[name]) for name, value in given.items()}
    result = asyncio.run(job(**typed))
    sys.stdout.buffer.write(b"\n" + msgspec.json.encode(result) + b"\n")


if __name__ == "__main__":
    main()

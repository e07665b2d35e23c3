"""Servers for the benchmarks, each in its own process, so that the client has its own core."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from coachstream.emulator import Emulator, World

from . import replay

TOKEN = "a-token-for-benchmarks"  # noqa: S105  # not a real token


class Recording(msgspec.Struct, frozen=True, tag="recording"):
    """Recorded pages, served as fast as possible; see `replay`."""

    page_size: int
    events: bool = False
    """Whether sessions have their coachable events and the drivers' external ids."""


class Emulation(msgspec.Struct, frozen=True, kw_only=True, tag="emulation"):
    """The library's own emulator, for benchmarks of delays rather than processor time."""

    sessions: int
    page_size: int
    latency: float = 0.0
    """Seconds each response takes."""
    rate: float | None = None
    """Requests allowed in any one second."""
    changes_per_hour: float = 0.0
    """Changes in the world while it is served; its clock then shows the real time."""

    def world(self) -> World:
        """Return the world to serve; without changes it is the same each time."""
        now = datetime.now(UTC) if self.changes_per_hour else None
        return World(
            replay.SEED,
            sessions=self.sessions,
            changes_per_hour=self.changes_per_hour,
            now=now,
        )


class ServerLog(msgspec.Struct, frozen=True):
    """The requests an emulator received, reported when it ends."""

    arrivals: list[float]
    """When each request arrived, in seconds."""
    refused: int
    """How many of them were refused with 429."""


class Server(msgspec.Struct):
    """A running server."""

    url: str
    log: ServerLog | None = None
    """Set when the server has ended; None for a recording."""


@contextmanager
def serving(what: Recording | Emulation) -> Iterator[Server]:
    """Run a server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.servers", msgspec.json.encode(what).decode()]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:  # noqa: S603  # our own program
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        if not url:
            raise RuntimeError("a server could not start")
        server = Server(url)
        try:
            yield server
        finally:
            output, _ = process.communicate()  # closes its input, which ends it
        server.log = msgspec.json.decode(output, type=ServerLog) if output else None


async def _wait_for_end_of_input() -> None:
    await asyncio.to_thread(sys.stdin.buffer.read)


async def _serve_recording(what: Recording) -> None:
    pages = await replay.recorded(what.page_size, events=what.events)
    async with await replay.serve(pages) as server:
        host, port = server.sockets[0].getsockname()
        print(f"http://{host}:{port}", flush=True)
        await _wait_for_end_of_input()


async def _serve_emulation(what: Emulation) -> ServerLog:
    async with Emulator(
        what.world(),
        page_size=what.page_size,
        latency=what.latency,
        sessions_per_second=what.rate,
        gzip=False,
    ) as api:
        print(api.url, flush=True)
        await _wait_for_end_of_input()
        return ServerLog(
            arrivals=[request.at for request in api.requests],
            refused=sum(request.status == 429 for request in api.requests),
        )


def main() -> None:
    """Serve what the command line describes until standard input ends."""
    what = msgspec.json.decode(sys.argv[1], type=Recording | Emulation)
    if isinstance(what, Recording):
        asyncio.run(_serve_recording(what))
    else:
        log = asyncio.run(_serve_emulation(what))
        print(msgspec.json.encode(log).decode())


if __name__ == "__main__":
    main()

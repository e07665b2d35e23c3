"""Servers for the benchmarks, each in a process of its own, so that the client has its core."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from coachstream.emulator import Emulator, World

from . import replay

TOKEN = "a-token-for-benchmarks"  # noqa: S105  # of no server


class Recording(msgspec.Struct, frozen=True, tag="recording"):
    """Recorded pages, served as fast as can be; see `replay`."""

    page_size: int
    events: bool = False
    """Whether sessions come with their coachable events and the drivers' external ids."""


class Emulation(msgspec.Struct, frozen=True, kw_only=True, tag="emulation"):
    """The library's own emulator, where what counts is time and not the cost of a page."""

    sessions: int
    page_size: int
    latency: float = 0.0
    """Seconds each answer takes."""
    rate: float | None = None
    """Requests let through in any one second."""
    changes_per_hour: float = 0.0
    """What happens in the world while it is served; its time is then ours."""

    def world(self) -> World:
        """Return the world that is served; without changes it is the same each time."""
        now = datetime.now(UTC) if self.changes_per_hour else None
        return World(
            replay.SEED,
            sessions=self.sessions,
            changes_per_hour=self.changes_per_hour,
            now=now,
        )


class Seen(msgspec.Struct, frozen=True):
    """What an emulator has seen of its clients, told when it ends."""

    arrivals: list[float]
    """When each request came, in seconds."""
    refused: int
    """How many of them were answered with 429."""


class Server(msgspec.Struct):
    """A server that runs."""

    url: str
    seen: Seen | None = None
    """Known once it has ended; None for a recording."""


@contextmanager
def serving(what: Recording | Emulation) -> Iterator[Server]:
    """Run a server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.served", msgspec.json.encode(what).decode()]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:  # noqa: S603  # our own
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        if not url:
            raise RuntimeError("a server could not start")
        server = Server(url)
        try:
            yield server
        finally:
            told, _ = process.communicate()  # which closes its input: so it knows the end
        server.seen = msgspec.json.decode(told, type=Seen) if told else None


async def _wait_for_the_end() -> None:
    await asyncio.to_thread(sys.stdin.buffer.read)


async def _serve_recording(what: Recording) -> None:
    pages = await replay.recorded(what.page_size, events=what.events)
    async with await replay.serve(pages) as server:
        host, port = server.sockets[0].getsockname()
        print(f"http://{host}:{port}", flush=True)
        await _wait_for_the_end()


async def _serve_emulation(what: Emulation) -> Seen:
    async with Emulator(
        what.world(),
        page_size=what.page_size,
        latency=what.latency,
        sessions_per_second=what.rate,
        gzip=False,
    ) as api:
        print(api.url, flush=True)
        await _wait_for_the_end()
        return Seen(
            arrivals=[request.at for request in api.requests],
            refused=sum(request.status == 429 for request in api.requests),
        )


def main() -> None:
    """Serve what the command line describes, until the standard input ends."""
    what = msgspec.json.decode(sys.argv[1], type=Recording | Emulation)
    if isinstance(what, Recording):
        asyncio.run(_serve_recording(what))
    else:
        seen = asyncio.run(_serve_emulation(what))
        print(msgspec.json.encode(seen).decode())


if __name__ == "__main__":
    main()

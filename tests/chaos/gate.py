"""A raw TCP gate before the emulator: it can do what no HTTP server does."""

import asyncio
import socket
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp.abc import AbstractResolver, ResolveResult

from coachstream import CoachStreamError
from coachstream.emulator import Emulator
from tests.chaos.certificates import Certificates
from tests.chaos.trap import Trap
from tests.support.virtual_time import LeapingClock, pass_time

Stage = Literal["answer", "accept", "resolve", "tls"]


@dataclass(frozen=True)
class Trouble:
    """One thing that goes wrong once, with one request."""

    name: str
    play: Callable[[Any], Awaitable[Any]]
    """What happens, given the `Call`, or for the stage "resolve" the `Resolver`."""
    error: type[CoachStreamError] | None
    """What the library makes of it; None: nothing goes wrong."""
    stage: Stage = "answer"
    may_cost: type[CoachStreamError] | None = None
    """What it makes of it besides, if the next request had its connection already."""

    def __repr__(self) -> str:
        return self.name


class Gate:
    """Passes requests on to an emulator, but for those that the script has something for."""

    def __init__(
        self, api: Emulator, script: Iterable[Trouble | None], clock: LeapingClock
    ) -> None:
        self.api = api
        self.clock = clock
        self.script = deque(script)
        self.requests: list[tuple[float, bytes]] = []
        """When each request arrived, and its head."""
        stages = {trouble.stage for trouble in self.script if trouble}
        self.reconnects = stages != {"answer"}
        """Whether each request needs a connection of its own."""
        self.certificates = Certificates.once() if "tls" in stages else None
        self.resolver = Resolver(self)
        self.trap = Trap()
        self._talks: set[asyncio.Task[None]] = set()
        self._ends: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Self:
        context = None
        if self.certificates:
            context = self.certificates.server()
            context.sni_callback = self._choose_certificate
        self._server = await asyncio.start_server(
            self._begin, "127.0.0.1", 0, ssl=context, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]
        await self.trap.open()
        scheme = "https" if context else "http"
        host = "localhost" if self.reconnects else "127.0.0.1"
        self.url = f"{scheme}://{host}:{self.port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        await self.trap.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    @property
    def left_open(self) -> int:
        """Connections that the client has not closed."""
        return sum(
            not (reader._eof or reader.exception() or writer.is_closing())  # type: ignore[attr-defined]  # private
            for reader, writer in self._ends
        )

    def next_at(self, stage: Stage) -> Trouble | None:
        """Take the next trouble if it belongs to this stage."""
        if self.script and self.script[0] and self.script[0].stage == stage:
            return self.script.popleft()
        return None

    def _choose_certificate(self, tls: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        assert self.certificates is not None
        if trouble := self.next_at("tls"):
            tls.context = self.certificates.server(trouble.name)

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        self._ends.append((reader, writer))
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has left, or the gate is shut
        finally:
            self._talks.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if trouble := self.next_at("accept"):
            await trouble.play(Call(self, b"", reader, writer))
            return
        over = False
        while not over:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append((self.clock.monotonic(), head))
            call = Call(self, head, reader, writer)
            if self.script and self.script[0] is None:
                self.script.popleft()
                await call.pass_on()
            elif trouble := self.next_at("answer"):
                await trouble.play(call)
            else:
                await call.pass_on()
            over = call.over


@dataclass(frozen=True)
class Answer:
    """What the emulator has answered."""

    status: bytes
    headers: bytes
    body: bytes
    whole: bool

    @property
    def content(self) -> bytes:
        """The headers that tell of the content."""
        kept = (b"content-type", b"content-encoding", b"request-id")
        lines = self.headers.split(b"\r\n")
        return b"".join(one + b"\r\n" for one in lines if one.lower().startswith(kept))


class Call:
    """One request at the gate, and what can be done to it."""

    def __init__(
        self,
        gate: Gate,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.gate = gate
        self.head = head
        self.over = False
        """Whether this was the connection's last."""
        self._reader = reader
        self._writer = writer

    async def true_answer(self, *, plain: bool = False) -> Answer:
        """Ask the emulator; ``plain`` for an answer that is not compressed."""
        head = b"\r\n".join(
            line
            for line in self.head.split(b"\r\n")
            if not line.lower().startswith(b"connection:")
            and not (plain and line.lower().startswith(b"accept-encoding:"))
        )
        port = int(self.gate.api.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head[:-2] + b"Connection: close\r\n\r\n")
            first, _, rest = (await reader.read()).partition(b"\r\n")
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        headers, _, body = rest.partition(b"\r\n\r\n")
        lines = [one for one in headers.split(b"\r\n") if not one.lower().startswith(b"connection")]
        length = b"Content-Length: %d" % len(body)
        return Answer(first, b"\r\n".join(lines), body, whole=length in lines)

    async def pass_on(self) -> None:
        """Answer as the emulator does, broken off where that broke off."""
        answer = await self.true_answer()
        if answer.status:
            await self.send(answer.status, b"\r\n", answer.headers, b"\r\n\r\n", answer.body)
        self.over = not answer.whole

    async def ok(self, headers: bytes, body: bytes) -> None:
        """Answer 200 with these headers, and no others."""
        await self.send(b"HTTP/1.1 200 OK\r\n", headers, b"\r\n", body)

    async def send(self, *parts: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(b"".join(parts))
        await self._writer.drain()

    async def drip(self, data: bytes, *, size: int, every: float) -> None:
        """Send bytes a few at a time."""
        for start in range(0, len(data), size):
            if start:
                await pass_time(every)
            await self.send(data[start : start + size])

    async def wait(self, seconds: float = 7200.0) -> None:
        """Do nothing for so long."""
        await pass_time(seconds)

    async def until_left(self) -> None:
        """Read on until the client has closed its side."""
        while await self._reader.read(1000):
            pass
        self.over = True

    def close(self) -> None:
        """Close the connection in order."""
        self.over = True
        self._writer.close()

    def close_half(self) -> None:
        """Say that no more will be sent; TLS can only say so by closing."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        else:
            self.close()

    def reset(self) -> None:
        """Break the connection off, as a crash or a firewall does."""
        self.over = True
        raw: socket.socket | None = self._writer.get_extra_info("socket")
        if raw is not None:  # the client may have been quicker
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class Resolver(AbstractResolver):
    """Finds the gate under the name of localhost, unless the script says otherwise."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        assert host == "localhost"
        if trouble := self._gate.next_at("resolve"):
            found: list[ResolveResult] = await trouble.play(self)
            return found
        return self.found()

    def found(self) -> list[ResolveResult]:
        """Return what is found when all is well."""
        return self.address(self._gate.port)

    def address(self, port: int) -> list[ResolveResult]:
        """Return a port of this machine."""
        return [
            ResolveResult(
                hostname="localhost",
                host="127.0.0.1",
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=0,
            )
        ]

    async def close(self) -> None:
        """Nothing is open."""

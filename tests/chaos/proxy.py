"""A raw TCP proxy in front of the emulator, which can do what no HTTP server does."""

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
from tests.chaos.redirect_target import RedirectTarget
from tests.support.virtual_time import LeapingClock, pass_time

Stage = Literal["response", "accept", "resolve", "tls"]


@dataclass(frozen=True)
class Trouble:
    """A fault that affects one request, once."""

    name: str
    run: Callable[[Any], Awaitable[Any]]
    """Causes the fault, given the `Call`, or for the stage "resolve" the `Resolver`."""
    error: type[CoachStreamError] | None
    """The error that the library reports; None if it has no effect."""
    stage: Stage = "response"
    next_error: type[CoachStreamError] | None = None
    """The error of the next request, if that was already using the connection."""

    def __repr__(self) -> str:
        return self.name


class Proxy:
    """Forwards requests to an emulator, except those for which the script has a trouble."""

    def __init__(
        self, api: Emulator, script: Iterable[Trouble | None], clock: LeapingClock
    ) -> None:
        self.api = api
        self.clock = clock
        self.script = deque(script)
        self.requests: list[tuple[float, bytes]] = []
        """The arrival time and the head of each request."""
        stages = {trouble.stage for trouble in self.script if trouble}
        self.reconnects = stages != {"response"}
        """Whether each request needs a new connection."""
        self.certificates = Certificates.shared() if "tls" in stages else None
        self.resolver = Resolver(self)
        self.redirect_target = RedirectTarget()
        self._connections: set[asyncio.Task[None]] = set()
        self._streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Self:
        context = None
        if self.certificates:
            context = self.certificates.server()
            context.sni_callback = self._choose_certificate
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=context, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]
        await self.redirect_target.open()
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
        await self.redirect_target.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def left_open(self) -> int:
        """The number of connections that the client has not closed."""
        return sum(
            not (reader._eof or reader.exception() or writer.is_closing())  # type: ignore[attr-defined]  # private
            for reader, writer in self._streams
        )

    def next_for(self, stage: Stage) -> Trouble | None:
        """Return and remove the next trouble, if it belongs to this stage."""
        if self.script and self.script[0] and self.script[0].stage == stage:
            return self.script.popleft()
        return None

    def _choose_certificate(self, tls: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        assert self.certificates is not None
        if trouble := self.next_for("tls"):
            tls.context = self.certificates.server(trouble.name)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._streams.append((reader, writer))
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client or the proxy has closed
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if trouble := self.next_for("accept"):
            await trouble.run(Call(self, b"", reader, writer))
            return
        closed = False
        while not closed:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append((self.clock.monotonic(), head))
            call = Call(self, head, reader, writer)
            if self.script and self.script[0] is None:
                self.script.popleft()
                await call.pass_on()
            elif trouble := self.next_for("response"):
                await trouble.run(call)
            else:
                await call.pass_on()
            closed = call.closed


@dataclass(frozen=True)
class Response:
    """The emulator's response."""

    status: bytes
    headers: bytes
    body: bytes
    whole: bool

    @property
    def content(self) -> bytes:
        """The headers that describe the content."""
        wanted = (b"content-type", b"content-encoding", b"request-id")
        lines = self.headers.split(b"\r\n")
        return b"".join(one + b"\r\n" for one in lines if one.lower().startswith(wanted))


class Call:
    """One request at the proxy, and the ways to respond."""

    def __init__(
        self,
        proxy: Proxy,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.proxy = proxy
        self.head = head
        self.closed = False
        """Whether this was the last request of its connection."""
        self._reader = reader
        self._writer = writer

    async def real_response(self, *, plain: bool = False) -> Response:
        """Return the emulator's response; with ``plain``, uncompressed."""
        head = b"\r\n".join(
            line
            for line in self.head.split(b"\r\n")
            if not line.lower().startswith(b"connection:")
            and not (plain and line.lower().startswith(b"accept-encoding:"))
        )
        port = int(self.proxy.api.url.rpartition(":")[2])
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
        return Response(first, b"\r\n".join(lines), body, whole=length in lines)

    async def pass_on(self) -> None:
        """Forward the emulator's response, cut off where that was cut off."""
        response = await self.real_response()
        if response.status:
            await self.send(response.status, b"\r\n", response.headers, b"\r\n\r\n", response.body)
        self.closed = not response.whole

    async def ok(self, headers: bytes, body: bytes) -> None:
        """Respond with 200 and only these headers."""
        await self.send(b"HTTP/1.1 200 OK\r\n", headers, b"\r\n", body)

    async def send(self, *parts: bytes) -> None:
        """Send raw bytes."""
        self._writer.write(b"".join(parts))
        await self._writer.drain()

    async def drip(self, data: bytes, *, size: int, every: float) -> None:
        """Send bytes a few at a time."""
        for start in range(0, len(data), size):
            if start:
                await pass_time(every)
            await self.send(data[start : start + size])

    async def wait(self, seconds: float = 7200.0) -> None:
        """Wait."""
        await pass_time(seconds)

    async def until_client_closes(self) -> None:
        """Read until the client has closed its side."""
        while await self._reader.read(1000):
            pass
        self.closed = True

    def close(self) -> None:
        """Close the connection in the regular way."""
        self.closed = True
        self._writer.close()

    def close_half(self) -> None:
        """Close the sending side; with TLS, close the connection."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        else:
            self.close()

    def reset(self) -> None:
        """Reset the connection, as a crash or a firewall does."""
        self.closed = True
        raw: socket.socket | None = self._writer.get_extra_info("socket")
        if raw is not None:  # None if the client has closed already
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class Resolver(AbstractResolver):
    """Resolves localhost to the proxy, unless the script has a trouble."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        assert host == "localhost"
        if trouble := self._proxy.next_for("resolve"):
            found: list[ResolveResult] = await trouble.run(self)
            return found
        return self.found()

    def found(self) -> list[ResolveResult]:
        """Return the proxy's address."""
        return self.address(self._proxy.port)

    def address(self, port: int) -> list[ResolveResult]:
        """Return an address on this machine."""
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
        """Do nothing."""

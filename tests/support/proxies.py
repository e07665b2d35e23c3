"""A TLS server in front of an emulator, and an HTTP proxy that leads to it: both pass bytes on."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import trustme

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class CompanyNetwork:
    """A host that is reached only through the company's proxy, which breaks TLS open."""

    host: str
    authority: trustme.CA = field(default_factory=trustme.CA)
    """The company's own, which issues the certificate that clients see."""
    port: int = 0
    """Of the proxy, on 127.0.0.1."""
    asked: list[str] = field(default_factory=list)
    """What the proxy was asked: the head of each request."""

    @asynccontextmanager
    async def leading_to(self, url: str) -> AsyncIterator["CompanyNetwork"]:
        """Pass on to a server with plain HTTP on this machine what is meant for the host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(self.host).configure_cert(context)
        api = urlsplit(url)
        assert api.port is not None
        front = await _listen(_relay_to(api.port), context)
        front_port = front.sockets[0].getsockname()[1]

        async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(head)
            if not head.startswith(f"CONNECT {self.host}:443 "):
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await _relay_to(front_port)(reader, writer)

        proxy = await _listen(tunnel)
        self.port = proxy.sockets[0].getsockname()[1]
        async with front, proxy:
            yield self


async def _listen(
    handle: Handler,
    context: ssl.SSLContext | None = None,
) -> asyncio.Server:
    async def handle_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side is gone
        finally:
            writer.close()

    return await asyncio.start_server(handle_and_close, "127.0.0.1", 0, ssl=context)


def _relay_to(port: int) -> Handler:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    return relay


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()

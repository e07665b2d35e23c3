"""The target of redirects that must not be followed."""

import asyncio


class RedirectTarget:
    """A server that should receive no request."""

    def __init__(self) -> None:
        self.received: list[bytes] = []

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._record, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    async def close(self) -> None:
        """Stop listening."""
        self._server.close()

    async def _record(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received.append(await reader.read(10_000))
        writer.close()

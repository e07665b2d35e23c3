"""Where a redirect would lead."""

import asyncio


class Trap:
    """A server that nobody should come to."""

    def __init__(self) -> None:
        self.caught: list[bytes] = []

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._catch, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    async def close(self) -> None:
        """Listen no more."""
        self._server.close()

    async def _catch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.caught.append(await reader.read(10_000))
        writer.close()

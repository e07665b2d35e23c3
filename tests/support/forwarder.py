"""One TCP address for one server after another, as a load balancer or a moved name is."""

import asyncio
from contextlib import suppress
from typing import Self


class Forwarder:
    """Forwards each new connection to the server that is the target then."""

    def __init__(self, target: int | None = None) -> None:
        self.target = target
        """The port of the server; None: connections are closed at once."""
        self.accepted = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def freeze(self) -> None:
        """Let the connections of now lie still for ever, as if their server had lost its power."""
        self._flowing, frozen = asyncio.Event(), self._flowing
        self._flowing.set()
        frozen.clear()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        flowing, target = self._flowing, self.target
        writers = [writer]
        try:
            if target is None:
                return
            there = await asyncio.open_connection("127.0.0.1", target)
            writers.append(there[1])
            running = [
                asyncio.ensure_future(_copy(reader, there[1], flowing)),
                asyncio.ensure_future(_copy(there[0], writer, flowing)),
            ]
            try:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for copy in running:
                    copy.cancel()
                await asyncio.wait(running)
        except (OSError, asyncio.CancelledError):
            return  # as the server's end, or the end of the test
        finally:
            self._tasks.discard(task)
            for one in writers:
                one.close()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event
) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            await flowing.wait()
            writer.write(data)
            await writer.drain()
        await flowing.wait()

"""A very cheap server: pages recorded from the emulator and served as bytes.

The client is measured, so the server must not be the bottleneck. After the last recorded page it
starts again with the first, under a new cursor, until the number of pages in the URL is reached:
``/1000/coaching/sessions/stream`` is a feed of a thousand pages.
"""

import asyncio
import re

import aiohttp

from coachstream.emulator import Emulator, World

SEED = 20260302
PATH = "/coaching/sessions/stream"
TOTAL = re.compile(rb"GET /(\d+)/")
AFTER = re.compile(rb"[?&]after=[^& ]*\.(\d{9})[& ]")
CURSOR = "Kx7/Q+b2=".ljust(190, "x") + ".%09d"
"""As long as the emulator's cursors, and with characters that must be escaped."""


async def recorded(page_size: int, *, events: bool) -> list[bytes]:
    """Return pages from the emulator, each cut after its list of sessions.

    Args:
        page_size: Sessions on a page.
        events: Whether to request coachable events and external ids.
    """
    count = min(200, max(8, 4_096 // page_size))
    world = World(SEED, sessions=count * page_size, changes_per_hour=0)
    params = {"startTime": "2020-01-01T00:00:00Z"}
    if events:
        params |= {"includeCoachableEvents": "true", "includeExternalIds": "true"}
    pages: list[bytes] = []
    headers = {"Authorization": "Bearer any"}
    async with (
        Emulator(world, page_size=page_size, sessions_per_second=None, gzip=False) as api,
        aiohttp.ClientSession(api.url, headers=headers) as http,
    ):
        while len(pages) < count:
            async with http.get(PATH, params=params) as response:
                whole = await response.read()
                params["after"] = (await response.json())["pagination"]["endCursor"]
                pages.append(whole[: whole.rindex(b"]") + 1])
    return pages


class Replay(asyncio.Protocol):
    """One connection; each request gets its response at once, from memory."""

    def __init__(self, pages: list[bytes]) -> None:
        self._pages = pages
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            self._respond(request)

    def _respond(self, request: bytes) -> None:
        assert self._transport is not None
        total, after = TOTAL.match(request), AFTER.search(request)
        assert total is not None, request
        self._transport.writelines(self._response(int(total[1]), int(after[1]) if after else 0))

    def _response(self, total: int, number: int) -> tuple[bytes, bytes, bytes]:
        page = self._pages[number % len(self._pages)] if number < total else b'{"data":[]'
        after = CURSOR % min(number + 1, total)
        more = "true" if number + 1 < total else "false"
        tail = f',"pagination":{{"endCursor":"{after}","hasNextPage":{more}}}}}'.encode()
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(page) + len(tail)}\r\n\r\n"
        ).encode()
        return head, page, tail


async def serve(pages: list[bytes]) -> asyncio.Server:
    """Serve recorded pages on a free port."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Replay(pages), "127.0.0.1", 0)

"""A minimal client of the feed of sessions, which knows nothing of the library."""

from collections.abc import Mapping
from typing import NamedTuple, Self

import aiohttp

from coachstream.emulator import Emulator

LONG_AGO = "2020-01-01T00:00:00Z"
PATH = "/coaching/sessions/stream"


class Answer(NamedTuple):
    """A response, as far as tests look at it."""

    status: int
    keys: list[tuple[str, str]]
    cursor: str
    more: bool
    headers: Mapping[str, str]


class Asker:
    """Call it with the parameters of one request."""

    def __init__(self, api: Emulator) -> None:
        self._api = api

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(self._api.url, headers={"Authorization": "Bearer x"})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def __call__(self, **parameters: str) -> Answer:
        async with self._http.get(PATH, params=parameters) as response:
            page = await response.json()
        pagination = page.get("pagination", {})
        return Answer(
            status=response.status,
            keys=[(one["id"], one["updatedAtTime"]) for one in page.get("data", ())],
            cursor=pagination.get("endCursor", ""),
            more=pagination.get("hasNextPage", False),
            headers=response.headers,
        )

    async def everything(self, **parameters: str) -> list[tuple[str, str]]:
        """Return the keys of all pages, while there are more."""
        page = await self(**parameters)
        keys = page.keys
        while page.more:
            page = await self(**parameters, after=page.cursor)
            keys += page.keys
        return keys

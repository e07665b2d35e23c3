"""Other ways to read the feed: each rival reads all of it and counts the sessions.

Each does what its documentation shows, with what makes it fast (one connection, one decoder) and
without what makes it reliable: no retries beyond its own, no rate limit, no checkpoints.
"""

import asyncio
from datetime import UTC, datetime
from importlib.util import find_spec

import aiohttp
import msgspec

from .servers import TOKEN

PATH = "/coaching/sessions/stream"
SINCE = datetime(2020, 1, 1, tzinfo=UTC)
PACKAGES = {"by hand": "aiohttp", "samsara-api": "samsara", "dlt": "dlt"}
"""The package each rival needs."""


def missing(rival: str) -> bool:
    """Return whether a rival is not installed; the extra ``bench`` installs all of them."""
    return find_spec(PACKAGES[rival]) is None


class Shape(msgspec.Struct, frozen=True, rename="camel"):
    """Names as in the API."""


class Driver(Shape, frozen=True):
    """A driver."""

    driver_id: str
    external_ids: dict[str, str] | None = None


class Linkage(Shape, frozen=True):
    """The source of an event."""

    source_id: str | None = None
    source_type: str | None = None


class Event(Shape, frozen=True):
    """One event of a behaviour."""

    id: str
    linkage: Linkage | None = None


class Behavior(Shape, frozen=True):
    """One behaviour."""

    id: str
    coachable_behavior_type: str
    updated_at_time: datetime
    last_coached_time: datetime | None = None
    note: str | None = None
    coachable_events: list[Event] | None = None


class Session(Shape, frozen=True):
    """One version of a session."""

    id: str
    updated_at_time: datetime
    driver: Driver
    session_status: str
    coaching_type: str
    behaviors: list[Behavior]
    due_at_time: datetime
    assigned_coach_id: str | None = None
    completed_at_time: datetime | None = None
    completed_coach_id: str | None = None
    session_note: str | None = None


class Pagination(Shape, frozen=True):
    """The cursor of a page."""

    end_cursor: str
    has_next_page: bool


class Page(Shape, frozen=True):
    """One response."""

    data: list[Session]
    pagination: Pagination


async def by_hand(url: str, *, events: bool) -> int:
    """Read with aiohttp and msgspec, as in a loop written by hand."""
    decoder = msgspec.json.Decoder(Page)
    params = {"startTime": SINCE.isoformat()}
    if events:
        params |= {"includeCoachableEvents": "true", "includeExternalIds": "true"}
    count = 0
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        while True:
            async with http.get(url + PATH, params=params) as response:
                response.raise_for_status()
                page = decoder.decode(await response.read())
            for _session in page.data:
                count += 1
            if not page.pagination.has_next_page:  # here a service would sleep and poll again
                return count
            params["after"] = page.pagination.end_cursor


async def samsara_api(url: str, *, events: bool) -> int:
    """Read with the vendor's SDK: its asynchronous client and its pydantic objects."""
    import httpx
    from samsara import AsyncSamsara

    count, after = 0, None
    async with httpx.AsyncClient() as http:
        samsara = AsyncSamsara(token=TOKEN, base_url=url, httpx_client=http)
        while True:
            page = await samsara.coaching.get_coaching_sessions(
                start_time=SINCE,
                include_coachable_events=events,
                include_external_ids=events,
                after=after,
            )
            for _session in page.data:
                count += 1
            if not page.pagination.has_next_page:
                return count
            after = page.pagination.end_cursor


async def dlt(url: str, *, events: bool) -> int:
    """Read with dlt's REST client, which blocks, into dicts with times as text."""
    return await asyncio.to_thread(_dlt, url, events=events)


def _dlt(url: str, *, events: bool) -> int:
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

    client = RESTClient(
        url,
        auth=BearerTokenAuth(TOKEN),
        paginator=JSONResponseCursorPaginator(
            cursor_path="pagination.endCursor",
            cursor_param="after",
            has_more_path="pagination.hasNextPage",
        ),
        data_selector="data",
    )
    params = {"startTime": SINCE.isoformat()}
    if events:
        params |= {"includeCoachableEvents": "true", "includeExternalIds": "true"}
    count = 0
    for page in client.paginate(PATH, params=params):
        for _session in page:
            count += 1
    return count

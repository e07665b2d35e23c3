"""Fetches pages: the one that is wanted, and the next one meanwhile.

A page's end says which page comes next. So the next one is requested before this one is decoded,
and long before its sessions are handled. One page ahead and no more: a second one would not come
sooner, and would lie in memory for as long as handling takes.
"""

from functools import partial
from itertools import count

import msgspec

from ..errors import ClosedError, UndecodableError
from ..http.rate_limit import Limiter
from ..http.transport import Transport
from ..retry import Patience
from ..tasks import DetachedTask, Runtime
from ..telemetry import CaughtUp
from ..wire import pages
from ..wire.pages import Page
from ..wire.query import Query
from .health import HealthMonitor

PATH = "/coaching/sessions/stream"

_TRIES = 5
"""How often a page that can't be decoded is requested, before it is handed on as it is."""

_Wanted = tuple[str, str | None]  # a query and a cursor


class Fetcher:
    """Fetches the pages of one reader. Not for two tasks at once."""

    def __init__(
        self,
        *,
        transport: Transport,
        limiter: Limiter,
        patience: Patience,
        monitor: HealthMonitor,
        runtime: Runtime,
        keep_raw: bool,
    ) -> None:
        self._transport = transport
        self._limiter = limiter
        self._patience = patience
        self._monitor = monitor
        self._runtime = runtime
        self._keep_raw = keep_raw
        self._under_way: dict[_Wanted, DetachedTask[Page]] = {}
        self._closed = False
        self._wanted: _Wanted | None = None
        self.ahead = True
        """Whether to request the page after the next one before that is read: not where pages bring
        nothing new, or the wait between them would be lost."""

    async def fetch(self, query: Query, cursor: str | None, *, wait: float = 0.0) -> Page:
        """Return the page after ``cursor``, requested in ``wait`` seconds if it is not already.

        If this is cancelled, the page is still fetched, for whoever wants it next.

        Raises:
            ClosedError: this was closed meanwhile.
            CoachStreamError: the request failed for good.
        """
        wanted = query.wire, cursor
        await self._drop_all_but(wanted)
        if self._closed:
            raise ClosedError("the stream is closed")
        task = self._under_way.setdefault(wanted, DetachedTask(self._runtime.tasks))
        self._wanted = wanted
        try:
            page = await task.result(partial(self._request, query, cursor, wait))
        finally:
            self._wanted = None
            if not task.pending:
                self._under_way.pop(wanted, None)  # closing may have come first
        if page.entries and page.has_next_page:
            self._fetch_ahead(query, cursor, page.end_cursor)
        return page

    async def aclose(self) -> None:
        """Cancel all requests, and start no more."""
        self._closed = True
        await self._drop_all_but(None)

    def abandon(self) -> None:
        """Cancel all requests without waiting; from any thread."""
        for task in self._under_way.values():
            task.abandon()

    async def _drop_all_but(self, wanted: _Wanted | None) -> None:
        """Drop a page that was fetched ahead, if another one is wanted instead."""
        for other in [other for other in self._under_way if other != wanted]:
            await self._under_way.pop(other).cancel()

    def _fetch_ahead(self, query: Query, cursor: str | None, next_cursor: str) -> None:
        """Request the page after this one, if this one leads on."""
        if self._closed or not self.ahead or next_cursor in {"", cursor}:
            return
        ahead = query.wire, next_cursor
        if ahead not in self._under_way:
            task = self._under_way[ahead] = DetachedTask(self._runtime.tasks)
            task.begin(self._request(query, next_cursor, 0.0))

    async def _request(self, query: Query, cursor: str | None, wait: float) -> Page:
        clock = self._runtime.clock
        if wait > 0:
            self._runtime.observe(CaughtUp(delay=wait))
            await self._runtime.sleep(wait)
        self._monitor.expect_nothing()  # other streams decide how long the limiter makes us wait
        undecodable = count(1)

        async def decode(body: bytes) -> Page:
            received_at, served_at = clock.now(), self._transport.server_now
            if (
                self._wanted == (query.wire, cursor)
                and (next_cursor := pages.guess_next_cursor(body)) is not None
            ):
                self._fetch_ahead(query, cursor, next_cursor)
                await clock.sleep(0)  # so that the next request leaves before this is decoded
            try:
                page = pages.sessions_page(body, keep_raw=self._keep_raw, received_at=received_at)
            except UndecodableError as error:
                if next(undecodable) < _TRIES:
                    raise
                page = pages.unread_page(error, body, received_at=received_at)
            return msgspec.structs.replace(page, served_at=served_at)

        page = await self._transport.call(
            "GET",
            PATH,
            query.after(cursor),
            limiter=self._limiter,
            patience=self._patience,
            read=decode,
            observe=self._runtime.observe,
        )
        self._monitor.answered(clock.monotonic())
        return page

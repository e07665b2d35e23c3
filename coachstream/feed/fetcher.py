"""Fetches pages: the one that is wanted, and the next one meanwhile.

Which page comes next stands at a page's end, so it is asked for before the page is decoded and
long before its sessions are handled. One page ahead and no more: a second one would not come
sooner, and would lie in memory for as long as handling takes.
"""

from datetime import datetime
from functools import partial

import msgspec

from ..clock import Clock
from ..errors import ClosedError
from ..http.rate_limit import Limit
from ..http.transport import Transport
from ..retry import Patience
from ..tasks import Background, Ongoing
from ..telemetry import CaughtUp, Observer
from ..wire import pages
from ..wire.query import Query
from . import lag
from .health import HealthMonitor

PATH = "/coaching/sessions/stream"

_Asked = tuple[str, str | None]  # a query and a cursor


class Fetched(msgspec.Struct, frozen=True):
    """A page, and when it came."""

    page: pages.Page
    at: datetime


class Fetcher:
    """Fetches the pages of one reader. Not for two tasks at once."""

    def __init__(
        self,
        *,
        transport: Transport,
        limit: Limit,
        patience: Patience,
        background: Background,
        clock: Clock,
        monitor: HealthMonitor,
        observer: Observer,
        keep_raw: bool,
    ) -> None:
        self._transport = transport
        self._limit = limit
        self._patience = patience
        self._background = background
        self._clock = clock
        self._monitor = monitor
        self._observer = observer
        self._keep_raw = keep_raw
        self._under_way: dict[_Asked, Ongoing[Fetched]] = {}
        self._closed = False
        self._wanted: _Asked | None = None
        self.dead_cursor: str | None = None
        """A cursor not to be asked with unless someone wants that very page."""

    async def fetch(self, query: Query, cursor: str | None, *, wait: float = 0.0) -> Fetched:
        """Return the page after ``cursor``, asked for in ``wait`` seconds if it is not already.

        Cancelled, the page goes on being fetched, for whoever asks for it next.

        Raises:
            ClosedError: this was closed meanwhile.
            CoachStreamError: what stands in the way, when patience is over.
        """
        asked = query.wire, cursor
        await self._forget_all_but(asked)
        if self._closed:
            raise ClosedError("the stream is closed")
        ongoing = self._under_way.setdefault(asked, Ongoing(self._background))
        self._wanted = asked
        try:
            fetched = await ongoing.result(partial(self._ask, query, cursor, wait))
        finally:
            self._wanted = None
            if not ongoing.pending:
                self._under_way.pop(asked, None)  # closing may have come first
        page = fetched.page
        if page.entries and page.has_next_page:
            self._look_ahead(query, cursor, page.end_cursor)
        return fetched

    async def aclose(self) -> None:
        """End what is under way, and begin nothing more."""
        self._closed = True
        await self._forget_all_but(None)

    def abandon(self) -> None:
        """End it soon; from any thread."""
        for ongoing in self._under_way.values():
            ongoing.abandon()

    async def _forget_all_but(self, asked: _Asked | None) -> None:
        """Drop a page that was fetched ahead, if reading took another turn."""
        for other in [other for other in self._under_way if other != asked]:
            await self._under_way.pop(other).cancel()

    def _look_ahead(self, query: Query, cursor: str | None, next_cursor: str) -> None:
        """Ask for the page after this one, if this one leads on."""
        if self._closed or next_cursor in {"", cursor, self.dead_cursor}:
            return
        asked = query.wire, next_cursor
        if asked not in self._under_way:
            ongoing = self._under_way[asked] = Ongoing(self._background)
            ongoing.begin(self._ask(query, next_cursor, 0.0))

    async def _ask(self, query: Query, cursor: str | None, wait: float) -> Fetched:
        if wait > 0:
            self._observer(CaughtUp(delay=wait))
            await lag.sleep(wait, self._clock, self._observer)
        self._monitor.expect_nothing()  # how long the turn at the limit takes, others decide

        async def read(body: bytes) -> pages.Page:
            if (
                self._wanted == (query.wire, cursor)
                and (next_cursor := pages.outlook(body)) is not None
            ):
                self._look_ahead(query, cursor, next_cursor)
                await self._clock.sleep(0)  # so that the question leaves before this is decoded
            return pages.sessions_page(body, keep_raw=self._keep_raw)

        page = await self._transport.call(
            "GET",
            PATH,
            query.after(cursor),
            limit=self._limit,
            patience=self._patience,
            read=read,
            observer=self._observer,
        )
        self._monitor.answered(self._clock.monotonic())
        return Fetched(page, self._clock.now())

"""Reads a query's pages one after another, for ever if need be.

It knows when to request the next page, and what to do when the cursor has expired. Who wants the
sessions, and when they are settled, is decided above.
"""

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, Protocol

from ..errors import BadRequestError, CursorExpiredError, MalformedSessionError
from ..models import Position
from ..tasks import Runtime
from ..telemetry import CursorAging, CursorExpired, PageRead
from ..wire.pages import Entry, Page
from ..wire.query import Query
from .fetcher import Fetcher
from .paging import Pager
from .reading import RECENT, Key, Reading, keys

CURSOR_LIFETIME = timedelta(days=30)
"""After which a cursor expires (https://developers.samsara.com/docs/pagination)."""
CURSOR_AGING = timedelta(days=25)
"""After which a cursor that has not moved is reported."""
OVERLAP = timedelta(minutes=15)
"""How far before the watermark reading restarts: how late a session may become visible is not
documented, and a quarter of an hour is what a public user of a sibling stream takes."""
EXPIRIES_A_DAY = 3
"""Cursors that may expire in one day before that is taken for a fault of another kind."""

OnExpired = Literal["resume", "raise"]


class Reader(Protocol):
    """What a stream reads from. Not for two tasks at once."""

    @property
    def ended(self) -> bool:
        """Whether the last page of a bounded query has been read."""
        ...

    @property
    def wait(self) -> float:
        """Seconds until the next page is requested; 0 or less: at once."""
        ...

    def start_at(self, start: Position) -> None:
        """Set the position to read from, before anything is read."""
        ...

    async def read(self) -> Reading:
        """Return the next page, when it is time for it.

        If this is cancelled or fails, the reader has not moved: it requests the same page again.

        Raises:
            CoachStreamError: the request failed, and patience is over.
        """
        ...

    async def aclose(self) -> None:
        """Cancel what is under way, and read no more."""
        ...

    def abandon(self) -> None:
        """Cancel what is under way without waiting; from any thread."""
        ...


class PageReader:
    """Reads one query, one page after another."""

    def __init__(
        self,
        *,
        start: Position,
        fetcher: Fetcher,
        runtime: Runtime,
        poll_interval: float,
        on_expired: OnExpired = "resume",
    ) -> None:
        self._fetcher = fetcher
        self._runtime = runtime
        self._clock = runtime.clock
        self._poll_interval = poll_interval
        self._on_expired = on_expired
        self._due = self._clock.monotonic()
        self._expiries: deque[datetime] = deque(maxlen=EXPIRIES_A_DAY)
        self.ended = False
        self.start_at(start)

    def start_at(self, start: Position) -> None:
        self.query = Query.from_wire(start.query)
        self._pager = self._new_pager(start.cursor, known=start.settled)
        self._cursor_time = start.cursor_time
        self._dead_cursor = self._fetcher.dead_cursor = start.dead_cursor
        self._watermark = start.watermark
        self._recent = deque((*start.recent, *start.settled), maxlen=RECENT)
        self._age_reported = False

    @property
    def wait(self) -> float:
        return self._due - self._clock.monotonic()

    async def read(self) -> Reading:
        if reason := self._why_expired():
            self._restart(self._query_with_overlap(), reason)
        try:
            page = await self._fetcher.fetch(self.query, self._pager.cursor, wait=self.wait)
        except BadRequestError as refused:
            if self._pager.cursor is None:
                raise
            page = await self._fetch_without_cursor(refused)
        return self._process(page)

    async def aclose(self) -> None:
        await self._fetcher.aclose()

    def abandon(self) -> None:
        self._fetcher.abandon()

    def _process(self, page: Page) -> Reading:
        pager = self._pager
        entries = pager.take(page)
        if pager.moved:
            self._cursor_time = page.received_at
            self._age_reported = False
        self._due = self._clock.monotonic() + pager.pause
        self.ended = pager.ended
        self._remember(entries)
        self._runtime.observe(
            PageRead(
                sessions=len(entries),
                repeated=len(page.entries) - len(entries),
                malformed=[*map(type, entries)].count(MalformedSessionError),
                size=page.size,
                has_next_page=page.has_next_page,
            )
        )
        return Reading(
            entries=entries,
            cursor=pager.cursor,
            cursor_time=self._cursor_time,
            moved=pager.moved,
            has_next_page=page.has_next_page,
            size=page.size,
            query=self.query.wire,
            dead_cursor=self._dead_cursor,
        )

    # When the cursor has expired

    def _why_expired(self) -> str | None:
        """Return why the cursor need not even be sent, if so; report it if it is old."""
        cursor = self._pager.cursor
        if cursor is None:
            return None
        if cursor == self._dead_cursor:
            return "the server refused it before"
        age = self._clock.now() - self._cursor_time if self._cursor_time else timedelta()
        if age >= CURSOR_LIFETIME:
            return f"it is {age / timedelta(days=1):.1f} days old"
        if age >= CURSOR_AGING and not self._age_reported:
            self._age_reported = True
            self._runtime.observe(CursorAging(days=age / timedelta(days=1)))
        return None

    async def _fetch_without_cursor(self, refused: BadRequestError) -> Page:
        """Find out what was wrong: if it works without the cursor, that has expired.

        The words of a 400 are not for programs to read
        (https://developers.samsara.com/docs/response-codes).
        """
        query = self._query_with_overlap()
        try:
            page = await self._fetcher.fetch(query, None)
        except BadRequestError:
            raise refused from None  # the query itself is bad
        self._restart(query, f"the server refuses it: {refused.message}")
        return page

    def _query_with_overlap(self) -> Query:
        """Return the query to restart with: it begins a little before the watermark."""
        if self._watermark is None:
            return self.query
        # A window may be left with some of the next ones settled; it still begins before it ends.
        end = self.query.end
        watermark = self._watermark if end is None else min(self._watermark, end)
        try:
            return self.query.starting(max(self.query.start, watermark - OVERLAP))
        except OverflowError:  # a time at the edge of the calendar says nothing
            return self.query

    def _restart(self, query: Query, reason: str) -> None:
        today = self._clock.now()
        if self._on_expired == "raise":
            raise CursorExpiredError(f"the cursor has expired ({reason}), and on_expired is raise")
        often = len(self._expiries) == EXPIRIES_A_DAY
        if often and today - self._expiries[0] < timedelta(days=1):
            raise CursorExpiredError(
                f"{EXPIRIES_A_DAY} cursors expired within a day, and now another ({reason}): "
                "something else is wrong"
            )
        self._expiries.append(today)
        self._dead_cursor, self._cursor_time = self._pager.cursor, None
        self._fetcher.dead_cursor = self._dead_cursor
        self.query, self._pager = query, self._new_pager(None, known=self._recent)
        self._runtime.observe(
            CursorExpired(reason=reason, start=query.start, watermark=self._watermark)
        )

    def _new_pager(self, cursor: str | None, *, known: Iterable[Key]) -> Pager:
        return Pager(
            cursor=cursor,
            bounded=self.query.bounded,
            poll_interval=self._poll_interval,
            known=known,
        )

    def _remember(self, entries: tuple[Entry, ...]) -> None:
        last = keys(entries[-RECENT:])
        self._recent.extend(last)
        if last:
            # Not the highest of all, but the last: if times are out of order, restarting a little
            # earlier only repeats something.
            self._watermark = last[-1][1]

"""Reads a query's pages one after another, for ever if need be.

It knows when to request the next page, and what to do when the cursor has expired. Who wants the
sessions, and when they are settled, is decided above.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Literal

from ..errors import BadRequestError, CursorExpiredError
from ..models import Position
from ..tasks import Runtime
from ..telemetry import CursorAging, CursorExpired, PageRead
from ..wire.pages import Entry, Page
from ..wire.query import Query
from .fetcher import Fetcher
from .paging import Pager
from .reading import Reading
from .recent import Batch
from .versions import Version, recent_in, settled_in
from .watermark import Watermark

CURSOR_LIFETIME = timedelta(days=30)
"""After which a cursor expires (https://developers.samsara.com/docs/pagination)."""
CURSOR_AGING = timedelta(days=25)
"""After which a cursor that has not moved is reported."""
OVERLAP = timedelta(minutes=15)
"""How far before the watermark reading restarts: how late a session may become visible is not
documented, and a quarter of an hour is what a public user of a sibling stream takes."""
EXPIRIES_A_DAY = 3
"""Cursors that may be refused in one day before that is taken for a fault of another kind."""
DAY = 86_400.0
"""Seconds."""

OnExpired = Literal["resume", "raise"]


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
        self._refusals: deque[float] = deque(maxlen=EXPIRIES_A_DAY)
        self.ended = False
        self.start_at(start)

    def start_at(self, start: Position) -> None:
        query, origin = Query.from_wire(start.query), Query.from_wire(start.origin)
        self._cursor_time = start.cursor_time
        self._dead_cursor = start.dead_cursor
        self._watermark = Watermark(start)
        # A window is restarted within its bounds; following may restart anywhere after the origin.
        bounds = origin if query.end == origin.end else query
        self._first = max(origin.start, bounds.start)  # a restart may have begun before both
        self._began = max(self._first, query.start)  # others have read what is earlier
        self._refusal: BadRequestError | None = None  # of the page that is wanted
        self._trial: Query | None = None  # what to restart with, if it works
        self._refused = start.dead_cursor  # last
        self._futile = 0  # restarts in a row that led to the same refusal
        self._age_reported = False
        known, recent = settled_in(start), recent_in(start)
        if start.cursor is None:
            known += recent  # no cursor has passed them, so they come again
        self._follow(query, start.cursor, known=known, recent=recent)

    @property
    def wait(self) -> float:
        return self._due - self._clock.monotonic()

    async def read(self) -> Reading:
        if reason := self._why_expired():
            self._restart(self._query_with_overlap(), reason)
        trial, refusal = self._trial, self._refusal
        query, cursor = (trial, None) if trial else (self.query, self._pager.cursor)
        try:
            page = await self._fetcher.fetch(query, cursor, wait=self.wait)
        except BadRequestError as error:
            self._find_out(error)
            return await self.read()
        if trial and refusal:
            self._restart(trial, f"the server refuses it: {refusal.message}", refused=True)
        self._refusal = None
        return self._process(page)

    async def aclose(self) -> None:
        await self._fetcher.aclose()

    def abandon(self) -> None:
        self._fetcher.abandon()

    def _process(self, page: Page) -> Reading:
        pager = self._pager
        entries = self._without_earlier(pager.take(page))
        if pager.moved:
            self._cursor_time = page.received_at
            self._age_reported = False
        if page.end_cursor == self._dead_cursor:
            self._dead_cursor = None  # the server has issued it again, so it is alive
        self._fetcher.ahead = pager.pause <= 0
        if pager.pause > 0:
            pager.forget_contents()
        self._due = self._clock.monotonic() + pager.pause
        self.ended = pager.ended
        served_at = page.served_at or page.received_at
        batch = pager.batch if entries is page.entries else Batch(entries)
        newest = self._watermark.advance(batch.times, served_at)
        self._runtime.observe(
            PageRead(
                sessions=len(entries),
                repeated=len(page.entries) - len(entries),
                malformed=batch.malformed,
                size=page.size,
                has_next_page=page.has_next_page,
            )
        )
        return Reading(
            entries=entries,
            repeated=pager.repeated,
            cursor=pager.cursor,
            cursor_time=self._cursor_time,
            moved=pager.moved,
            has_next_page=page.has_next_page,
            size=page.size,
            batch=batch,
            query=self.query.wire,
            dead_cursor=self._dead_cursor,
            served_at=served_at,
            newest=newest,
            disorder=self._watermark.disorder,
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

    def _find_out(self, error: BadRequestError) -> None:
        """Decide how to find out what was wrong, after a page was refused.

        First the same is requested again: if that is answered, nothing was. Then a restart: if that
        works without the cursor, the cursor has expired. The words of a 400 are not for programs to
        read (https://developers.samsara.com/docs/response-codes). All this is remembered, because a
        time-out may interrupt it at each step.

        Raises:
            BadRequestError: the query itself is bad.
        """
        refusal, trial = self._refusal, self._trial
        if self._pager.cursor is None:
            raise error
        if refusal is None:
            self._refusal = error
        elif trial is None:
            self._trial = self._query_with_overlap()
        else:
            self._refusal = self._trial = None
            raise refusal from None

    def _query_with_overlap(self) -> Query:
        """Return the query to restart with: it begins a little before the watermark.

        If restarting there has led to the same refusal before, it begins earlier, by chance: then
        pages end elsewhere, and a place that is always refused is no longer between two.
        """
        futile, end = self._again_in_vain, self.query.end
        if self.query.start == end:
            return self.query  # a snapshot: from any other start it would be another question
        try:
            safe = self._watermark.safe or (self._began if futile else None)
            if safe is None:
                return self.query
            # A window may be left with some of the next ones settled; it begins before it ends.
            safe = safe if end is None else min(safe, end)
            if futile:
                by_chance = 1 + self._runtime.random.random()
                return self.query.starting(safe - OVERLAP * 2**futile * by_chance)
            return self.query.starting(max(self._first, safe - OVERLAP))
        except OverflowError:  # a time at the edge of the calendar says nothing
            return self.query

    @property
    def _again_in_vain(self) -> int:
        """How many restarts in a row, this day, have led to the refusal of one cursor."""
        now = self._clock.monotonic()
        lately = not self._refusals or now - self._refusals[-1] < DAY
        return self._futile + 1 if lately and self._pager.cursor == self._refused else 0

    def _without_earlier(self, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """Drop what is only read so that pages end elsewhere."""
        if not self._begins_early:
            return entries
        return tuple(
            entry
            for entry in entries
            if entry.updated_at_time is None or entry.updated_at_time >= self._wanted
        )

    def _count_refusal(self, reason: str) -> None:
        now, often = self._clock.monotonic(), len(self._refusals) == EXPIRIES_A_DAY
        if often and now - self._refusals[0] < DAY:
            raise CursorExpiredError(
                f"{EXPIRIES_A_DAY} cursors expired within a day, and now another ({reason}): "
                "the cause must be something else"
            )
        self._futile = self._again_in_vain
        self._refusals.append(now)
        self._dead_cursor = self._refused = self._pager.cursor

    def _restart(self, query: Query, reason: str, *, refused: bool = False) -> None:
        self._refusal = self._trial = None
        if self._on_expired == "raise":
            raise CursorExpiredError(
                f'the cursor has expired ({reason}), and on_expired="raise" was given'
            )
        if refused:
            self._count_refusal(reason)
        known = self._pager.remembered
        self._follow(query, None, known=known, recent=known)
        self._cursor_time = None
        self._watermark.restart()
        self._runtime.observe(
            CursorExpired(reason=reason, start=query.start, watermark=self._watermark.safe)
        )

    def _follow(
        self,
        query: Query,
        cursor: str | None,
        *,
        known: Iterable[Version],
        recent: Sequence[Version],
    ) -> None:
        """Read this query from now on, after the cursor."""
        self.query = query
        # Before anything was read, nothing is known of what others have read before.
        self._wanted = self._began if self._watermark.time is None else self._first
        self._begins_early = query.start < self._wanted
        self._pager = Pager(
            cursor=cursor,
            bounded=query.bounded,
            poll_interval=self._poll_interval,
            known=known,
            recent=recent,
        )

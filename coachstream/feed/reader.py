"""Reads a query's pages one after another, for ever if need be.

It knows the way, the times, and what to do when the cursor has died; who wants the sessions, and
when they are settled, is decided above.
"""

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, Protocol

from ..clock import Clock
from ..errors import BadRequestError, CursorExpiredError, MalformedSessionError
from ..models import Position
from ..telemetry import CursorAging, CursorDied, Observer, PageRead
from ..wire.pages import Entry
from ..wire.query import Query
from .fetcher import Fetched, Fetcher
from .paging import Pager
from .reading import RECENT, Key, Reading, keys

CURSOR_LIFE = timedelta(days=30)
"""After which a cursor expires (https://developers.samsara.com/docs/pagination)."""
CURSOR_AGING = timedelta(days=25)
"""After which a cursor that has not moved is told of."""
OVERLAP = timedelta(minutes=15)
"""How far before the watermark reading begins again: how late a session may become visible is not
documented, and a quarter of an hour is what a public user of a sibling stream takes."""
DEATHS_A_DAY = 3
"""Cursors that may die in one day before it is taken for a fault of another kind."""

OnExpired = Literal["resume", "raise"]


class Reader(Protocol):
    """What a stream reads from. Not for two tasks at once."""

    @property
    def ended(self) -> bool:
        """Whether the last page of a bounded query has been read."""
        ...

    @property
    def wait(self) -> float:
        """Seconds until the next page is asked for; 0 or less: at once."""
        ...

    def go_on_from(self, start: Position) -> None:
        """Take up the way at a position, before anything is read."""
        ...

    async def read(self) -> Reading:
        """Return the next page, when it is time for it.

        Cancelled or failed, it has not moved: the same page is asked for again.

        Raises:
            CoachStreamError: what stands in the way, when patience is over.
        """
        ...

    async def aclose(self) -> None:
        """End what is under way."""
        ...

    def abandon(self) -> None:
        """End it soon; from any thread."""
        ...


class PageReader:
    """One reader of one query, a page after the other."""

    def __init__(
        self,
        *,
        start: Position,
        fetcher: Fetcher,
        clock: Clock,
        observer: Observer,
        poll_interval: float,
        on_expired: OnExpired = "resume",
    ) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._observer = observer
        self._poll_interval = poll_interval
        self._on_expired = on_expired
        self._due = clock.monotonic()
        self._deaths: deque[datetime] = deque(maxlen=DEATHS_A_DAY)
        self.ended = False
        self.go_on_from(start)

    def go_on_from(self, start: Position) -> None:
        self.query = Query.from_wire(start.query)
        self._pager = self._new_pager(start.cursor, known=start.settled)
        self._cursor_time = start.cursor_time
        self._dead_cursor = self._fetcher.dead_cursor = start.dead_cursor
        self._high = start.watermark
        self._recent = deque((*start.recent, *start.settled), maxlen=RECENT)
        self._told_of_age = False

    @property
    def wait(self) -> float:
        return self._due - self._clock.monotonic()

    async def read(self) -> Reading:
        if reason := self._known_death():
            self._begin_again(self._overlapping(), reason)
        try:
            fetched = await self._fetcher.fetch(self.query, self._pager.cursor, wait=self.wait)
        except BadRequestError as refused:
            if self._pager.cursor is None:
                raise
            fetched = await self._fetch_without_cursor(refused)
        return self._taken_in(fetched)

    async def aclose(self) -> None:
        await self._fetcher.aclose()

    def abandon(self) -> None:
        self._fetcher.abandon()

    def _taken_in(self, fetched: Fetched) -> Reading:
        page = fetched.page
        step = self._pager.step(page)
        if step.moved:
            self._cursor_time = fetched.at
            self._told_of_age = False
        self._due = self._clock.monotonic() + step.pause
        self.ended = step.ended
        self._remember(step.entries)
        self._observer(
            PageRead(
                sessions=len(step.entries),
                repeated=len(page.entries) - len(step.entries),
                malformed=[*map(type, step.entries)].count(MalformedSessionError),
                size=page.size,
                has_next_page=page.has_next_page,
            )
        )
        return Reading(
            entries=step.entries,
            cursor=step.cursor,
            cursor_time=self._cursor_time,
            moved=step.moved,
            has_next_page=page.has_next_page,
            size=page.size,
            query=self.query.wire,
            dead_cursor=self._dead_cursor,
        )

    # When the cursor has died

    def _known_death(self) -> str | None:
        """Tell why the cursor need not even be sent, if so; tell the observer of its age."""
        cursor = self._pager.cursor
        if cursor is None:
            return None
        if cursor == self._dead_cursor:
            return "the server refused it before"
        age = self._clock.now() - self._cursor_time if self._cursor_time else timedelta()
        if age >= CURSOR_LIFE:
            return f"it is {age / timedelta(days=1):.1f} days old"
        if age >= CURSOR_AGING and not self._told_of_age:
            self._told_of_age = True
            self._observer(CursorAging(days=age / timedelta(days=1)))
        return None

    async def _fetch_without_cursor(self, refused: BadRequestError) -> Fetched:
        """Find out what was wrong: if it works without the cursor, that is dead.

        The words of a 400 are not for programs to read
        (https://developers.samsara.com/docs/response-codes).
        """
        query = self._overlapping()
        try:
            fetched = await self._fetcher.fetch(query, None)
        except BadRequestError:
            raise refused from None  # the query itself is bad
        self._begin_again(query, f"the server refuses it: {refused.message}")
        return fetched

    def _overlapping(self) -> Query:
        """Return the query with which to begin again: a little before where reading has come."""
        if self._high is None:
            return self.query
        # A window may be left with some of the next ones settled; it still begins before it ends.
        high = self._high if self.query.end is None else min(self._high, self.query.end)
        try:
            return self.query.starting(max(self.query.start, high - OVERLAP))
        except OverflowError:  # a time at the edge of the calendar says nothing
            return self.query

    def _begin_again(self, query: Query, reason: str) -> None:
        today = self._clock.now()
        if self._on_expired == "raise":
            raise CursorExpiredError(f"the cursor is dead ({reason}), and on_expired says raise")
        if len(self._deaths) == DEATHS_A_DAY and today - self._deaths[0] < timedelta(days=1):
            raise CursorExpiredError(
                f"{DEATHS_A_DAY} cursors died within a day, and now another ({reason}): "
                "something else is wrong"
            )
        self._deaths.append(today)
        self._dead_cursor, self._cursor_time = self._pager.cursor, None
        self._fetcher.dead_cursor = self._dead_cursor
        self.query, self._pager = query, self._new_pager(None, known=self._recent)
        self._observer(CursorDied(reason=reason, start=query.start, watermark=self._high))

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
            # Not the highest of all, but the last: should times be out of order, beginning again
            # a little earlier only repeats something.
            self._high = last[-1][1]

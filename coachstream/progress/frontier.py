"""How far the work is done without a gap.

Pages are opened in reading order, and their sessions are settled in any order. A reader can resume
only at a cursor. So what may be saved is the cursor of the last page of the unbroken run of settled
pages, and the keys of what is settled beyond it: after a crash only unsettled sessions are
delivered again, not the whole page.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import itemgetter

from ..feed.reading import RECENT, Key, Reading, keys
from ..models import Position
from ..wire.pages import Entry
from ..wire.query import Query


class OpenPage:
    """A page of which some sessions are not settled yet."""

    __slots__ = ("_done", "left", "reading")

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.left = len(reading.entries)
        """How many of its sessions are not settled."""
        self._done = bytearray(self.left)

    def settle(self, index: int) -> None:
        """Mark one session as settled; once."""
        assert not self._done[index], "settled twice"
        self._done[index] = 1
        self.left -= 1

    def settle_first(self, count: int) -> int:
        """Mark the first sessions as settled; return how many were not settled before."""
        before = self.left
        self._done[:count] = b"\1" * count
        self.left = self._done.count(0)
        return before - self.left

    @property
    def first_unsettled(self) -> int:
        """The index of the first session that is not settled; -1: all are."""
        return self._done.find(0)

    def settled(self) -> Iterator[Entry]:
        """Yield the settled sessions."""
        return (entry for entry, done in zip(self.reading.entries, self._done, strict=True) if done)

    def unsettled(self) -> Iterator[Entry]:
        """Yield the others."""
        return (e for e, done in zip(self.reading.entries, self._done, strict=True) if not done)


class Frontier:
    """Pages in reading order, and how far they are settled without a gap."""

    def __init__(self, start: Position) -> None:
        self._base = start
        self._pages: deque[OpenPage] = deque()
        self._beyond = list(start.settled)
        self._recent: deque[Key] = deque(start.recent, maxlen=RECENT)
        self._watermark = start.watermark
        self._dead_cursor = start.dead_cursor
        self._cursor, self._cursor_time, self._query = start.cursor, start.cursor_time, start.query
        self.open_sessions = 0
        """Sessions of the open pages, settled or not."""
        self.unsettled = 0
        """Sessions that are not settled."""
        self.size = 0
        """Bytes of the open pages."""

    def open(self, reading: Reading) -> OpenPage:
        """Add a page after all others. An empty one is settled at once."""
        page = OpenPage(reading)
        if self._follows_an_empty_page(reading):
            # Of empty pages in a row only the last one matters, and they must not pile up.
            self.size -= self._pages.pop().reading.size
        self._pages.append(page)
        self.open_sessions += page.left
        self.unsettled += page.left
        self.size += reading.size
        self._dead_cursor = reading.dead_cursor or self._dead_cursor
        if not page.left:
            self._advance()
        return page

    def _follows_an_empty_page(self, reading: Reading) -> bool:
        if reading.entries or not self._pages:
            return False
        last = self._pages[-1].reading
        return (
            not last.entries and last.query == reading.query and (reading.moved or not last.moved)
        )

    def settle(self, page: OpenPage, index: int) -> None:
        """Settle one session of an open page."""
        page.settle(index)
        self.unsettled -= 1
        if not page.left:
            self._advance()

    def settle_first(self, page: OpenPage, count: int) -> None:
        """Settle the first sessions of an open page, those that are not settled yet."""
        self.unsettled -= page.settle_first(count)
        if not page.left:
            self._advance()

    @property
    def position(self) -> Position:
        """What may be saved now: never beyond anything unsettled."""
        ahead = [entry for page in self._pages for entry in page.settled()]
        return Position(
            query=self._query,
            origin=self._base.origin,
            cursor=self._cursor,
            cursor_time=self._cursor_time,
            settled=(*self._beyond, *keys(ahead)),
            recent=tuple(self._recent),
            watermark=self.watermark,
            dead_cursor=self._dead_cursor,
        )

    @property
    def front(self) -> tuple[OpenPage, int] | None:
        """The page and the index of the first unsettled session; None: all are settled."""
        return (self._pages[0], self._pages[0].first_unsettled) if self.unsettled else None

    @property
    def cursor_time(self) -> datetime | None:
        """When the server gave the cursor that may be saved now."""
        return self._cursor_time

    @property
    def watermark(self) -> datetime | None:
        """The ``updated_at_time`` up to which everything is settled.

        That is the highest settled one, but no later than any unsettled one: if the cursor expires,
        reading restarts there.
        """
        times = _times(entry for page in self._pages for entry in page.settled())
        highest = max((*times, *([self._watermark] if self._watermark else [])), default=None)
        waiting = min(_times(e for page in self._pages for e in page.unsettled()), default=None)
        if highest is None or waiting is None:
            return highest
        # With nothing settled there is no watermark: reading would restart at the start.
        return min(highest, waiting)

    def _advance(self) -> None:
        """Drop every settled page from the front."""
        while self._pages and not self._pages[0].left:
            reading = self._pages.popleft().reading
            self.open_sessions -= len(reading.entries)
            self.size -= reading.size
            named = keys(reading.entries)
            if reading.query and reading.query != self._query:
                self._change_query(reading.query)
            newest = max(map(itemgetter(1), named), default=None)
            if reading.moved:
                self._cursor, self._cursor_time = reading.cursor, reading.cursor_time
                if newest is not None and self._beyond:
                    # What was settled beyond the cursor now lies before it.
                    self._pass([one for one in self._beyond if one[1] <= newest])
            else:
                self._beyond += named
            self._recent.extend(named[-RECENT:])
            if newest is not None:
                self._watermark = max(newest, self._watermark or newest)

    def _change_query(self, wire: str) -> None:
        """Switch to another query, for which the old one's cursor means nothing."""
        before, after = Query.from_wire(self._query), Query.from_wire(wire)
        if before.end is not None and before.end <= after.start:
            # It is the next window: nothing from before its start belongs to it.
            self._pass([one for one in self._beyond if one[1] < after.start])
        self._query, self._cursor, self._cursor_time = wire, None, None

    def _pass(self, passed: list[Key]) -> None:
        """Remember only as recent what was settled beyond the cursor and now lies before it."""
        # An earlier run may have settled it, on a page of which this run has seen only the rest.
        recent, left = set(self._recent), set(self._beyond).difference(passed)
        self._recent.extend(one for one in passed if one not in recent)
        self._beyond = [one for one in self._beyond if one in left]


def _times(entries: Iterable[Entry]) -> list[datetime]:
    return [entry.updated_at_time for entry in entries if entry.updated_at_time is not None]

"""How far the work is done without a gap.

Pages are opened in reading order, and their sessions are settled in any order. A reader can resume
only at a cursor. So what may be saved is the cursor of the last page of the unbroken run of settled
pages, and the keys of what is settled beyond it: after a crash only unsettled sessions are
delivered again, not the whole page.
"""

from collections import deque
from collections.abc import Iterator
from datetime import datetime

from ..feed.reading import Reading
from ..feed.recent import Batch, RecentVersions
from ..feed.versions import (
    StoredVersion,
    Version,
    VersionSet,
    all_stored,
    recent_in,
    settled_in,
    since,
    stored,
    times_of,
    with_versions,
)
from ..feed.watermark import Watermark, credible
from ..models import Position
from ..wire.pages import Entry
from ..wire.query import Query


class OpenPage:
    """A page of which some sessions are not settled yet."""

    __slots__ = ("_done", "_stored", "left", "reading")

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.left = len(reading.entries)
        """How many of its sessions are not settled."""
        self._done = bytearray(self.left)
        self._stored: dict[int, StoredVersion | None] = {}  # as often as it is asked for

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

    def settled_versions(self) -> Iterator[StoredVersion]:
        """Yield what is stored of the settled sessions."""
        for index, entry in enumerate(self.reading.entries):
            if self._done[index]:
                if index not in self._stored:
                    self._stored[index] = stored(entry)
                if (version := self._stored[index]) is not None:
                    yield version

    def unsettled(self) -> Iterator[Entry]:
        """Yield the others."""
        return (e for e, done in zip(self.reading.entries, self._done, strict=True) if not done)


class Frontier:
    """Pages in reading order, and how far they are settled without a gap."""

    def __init__(self, start: Position) -> None:
        self._base = start
        self._pages: deque[OpenPage] = deque()
        self._beyond: list[Version] = [*settled_in(start)]
        self._recent = RecentVersions(recent_in(start))
        self._watermark = Watermark(start).time
        self._disorder = start.disorder
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
        self._disorder = max(self._disorder, reading.disorder)
        dead = reading.dead_cursor or self._dead_cursor
        self._dead_cursor = None if reading.cursor == dead else dead  # issued again, it is alive
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
        beyond, recent = all_stored(self._beyond), self._recent.stored()
        self._beyond = [*beyond]  # for the next time
        ahead = (version for page in self._pages for version in page.settled_versions())
        position = Position(
            query=self._query,
            origin=self._base.origin,
            cursor=self._cursor,
            cursor_time=self._cursor_time,
            watermark=self.watermark,
            dead_cursor=self._dead_cursor,
            disorder=self._disorder,
        )
        return with_versions(position, settled=[*beyond, *ahead], recent=recent)

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
        settled = [
            time
            for page in self._pages
            for time in credible(times_of(page.settled()), page.reading.served_at)
        ]
        highest = max((*settled, *([self._watermark] if self._watermark else [])), default=None)
        waiting = min(times_of(e for page in self._pages for e in page.unsettled()), default=None)
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
            if reading.query and reading.query != self._query:
                self._change_query(reading.query)
            if reading.moved:
                self._cursor, self._cursor_time = reading.cursor, reading.cursor_time
                if self._beyond:
                    self._pass(self._passed_with(reading))
            else:
                self._beyond += reading.entries
            self._recent.append(reading.batch)
            if (newest := reading.newest) is not None:
                self._watermark = max(newest, self._watermark or newest)

    def _passed_with(self, reading: Reading) -> list[Version]:
        """Return what was settled beyond the cursor, and lies before it after this page.

        That is what stands on the page. What has become another version comes no more: its time is
        strictly earlier than the page's, by more than times go back on this server.
        """
        page = VersionSet((*reading.entries, *reading.repeated))
        before = None if reading.newest is None else reading.newest - self._disorder
        return [
            one
            for one in self._beyond
            if one in page or (before and one.updated_at_time and one.updated_at_time < before)
        ]

    def _change_query(self, wire: str) -> None:
        """Switch to another query, for which the old one's cursor means nothing."""
        # Nothing from before its start belongs to it.
        beyond = VersionSet(since(Query.from_wire(wire).start, self._beyond))
        self._pass([one for one in self._beyond if one not in beyond])
        self._query, self._cursor, self._cursor_time = wire, None, None

    def _pass(self, passed: list[Version]) -> None:
        """Remember only as recent what was settled beyond the cursor and now lies before it."""
        # An earlier run may have settled it, on a page of which this run has seen only the rest.
        recent, gone = VersionSet(self._recent), VersionSet(passed)
        self._recent.append(Batch([one for one in passed if one not in recent]))
        self._beyond = [one for one in self._beyond if one not in gone]

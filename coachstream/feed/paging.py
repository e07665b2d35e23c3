"""From cursor to cursor: what is new on a page, when to request the next, when it is a loop.

What a caught-up feed answers is not documented for coaching: siblings say ``hasNextPage`` for ever
true, an empty cursor, or the same one (Samsara's OpenAPI description of the training and assets
streams). So the pager handles all of them. Pure: pages go in, and what to do next comes out.
"""

from collections import deque
from collections.abc import Hashable, Iterable

from ..errors import CursorLoopError
from ..models import CoachingSession
from ..wire.pages import Entry, Page

_FREE_EMPTIES = 2
"""Empty pages in a row that are taken for gaps and cost no wait."""
_FIRST_PAUSE = 1 / 16
"""The share of the poll interval that the next empty page costs; it doubles from page to page."""
_REMEMBERED = 64
"""Pages a loop may be long and still be noticed at its first repetition."""


class Pager:
    """Follows the cursors of one query."""

    def __init__(
        self,
        *,
        cursor: str | None,
        bounded: bool,
        poll_interval: float,
        known: Iterable[Hashable] = (),
    ) -> None:
        self.cursor = cursor
        """The last good cursor: the next page is requested after it."""
        self.moved = False
        """Whether the last page moved the cursor."""
        self.pause = 0.0
        """Seconds to wait before the next page is requested."""
        self.ended = False
        """Whether the last page was the last one of a bounded query."""
        self._known = set(known)  # keys to drop when they come, because they are settled
        self._bounded = bounded
        self._poll_interval = poll_interval
        self._seen: set[Hashable] = set()  # what came from beyond the cursor
        self._recent: deque[Hashable] = deque(maxlen=_REMEMBERED)
        self._empties = 0
        self._always_says_more = False  # this server says "more" when there is no more
        self._stuck = False  # it said "more" and led nowhere

    def take(self, page: Page) -> tuple[Entry, ...]:
        """Process one page; return the sessions that did not come before.

        Raises:
            CursorLoopError: the server leads in circles. The pager stays where it was.
        """
        moved = page.end_cursor not in ("", self.cursor)
        entries = page.entries
        if self._seen or self._known:
            dropped = self._seen | self._known
            entries = tuple(entry for entry in entries if _key(entry) not in dropped)
        self._refuse_loops(page, entries, moved=moved)
        self.moved = moved
        if moved:
            self.cursor = page.end_cursor
            # What was seen beyond the cursor lies before anything new.
            if entries:
                self._seen.clear()
        else:
            self._seen.update(map(_key, page.entries))
        if not page.has_next_page:
            self._known.clear()  # what has not come by now has a later version
        self.ended = self._bounded and not page.has_next_page
        self.pause = 0.0 if self.ended else self._pause_after(page, moved=moved)
        return entries

    def _refuse_loops(self, page: Page, new: tuple[Entry, ...], *, moved: bool) -> None:
        if not page.has_next_page:
            return
        if moved and page.entries:
            mark = page.end_cursor, len(page.entries), _key(page.entries[0]), _key(page.entries[-1])
            if mark in self._recent:
                raise CursorLoopError(f"cursor {page.end_cursor!r} came before, with this page")
            self._recent.append(mark)
        if moved or new:
            self._stuck = False
            return
        same_page = bool(page.entries) and page.end_cursor != ""
        if same_page or (self._bounded and self._stuck):
            raise CursorLoopError(
                f"cursor {page.end_cursor!r} leads nowhere new, and the server says there is more"
            )
        self._stuck = True

    def _pause_after(self, page: Page, *, moved: bool) -> float:
        if not (page.has_next_page and moved):
            return self._poll_interval
        if page.entries:
            self._empties = 0
            return 0.0
        # An empty page is not the end, but a feed that always says "more" must not eat the limit.
        self._empties += 1
        if self._always_says_more:
            return self._poll_interval
        doublings = self._empties - _FREE_EMPTIES - 1
        if doublings < 0:
            return 0.0
        share = _FIRST_PAUSE * 2.0 ** min(doublings, 10)
        self._always_says_more = share >= 1
        return self._poll_interval * min(1.0, share)


def _key(entry: Entry) -> Hashable:
    if isinstance(entry, CoachingSession):
        return entry.key
    if entry.session_id is not None and entry.updated_at_time is not None:
        return entry.session_id, entry.updated_at_time
    return entry.raw

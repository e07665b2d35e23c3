"""How a reader walks from cursor to cursor: what is new, when to ask again, when it is a loop.

What a caught-up feed answers is not documented for coaching: siblings say ``hasNextPage`` for ever
true, an empty cursor, or the same one (Samsara's OpenAPI description of the training and assets
streams). So the pager survives all of them. Pure: it is told of pages, and tells what to do.
"""

from collections import deque
from collections.abc import Hashable, Iterable

import msgspec

from ..errors import CursorLoopError
from ..models import CoachingSession
from ..wire.pages import Entry, Page

_FREE_EMPTIES = 2
"""Empty pages in a row that are taken for gaps and cost no wait."""
_FIRST_PAUSE = 1 / 16
"""The share of the poll interval that the next empty page costs; it doubles from page to page."""
_REMEMBERED = 64
"""Pages a loop may be long and still be noticed at its first repetition."""


class Step(msgspec.Struct, frozen=True):
    """What a page amounts to."""

    entries: tuple[Entry, ...]
    """The page's sessions that did not come before."""
    cursor: str | None
    """The last good cursor, this page's included."""
    moved: bool
    """Whether this page moved it."""
    pause: float
    """Seconds to wait before the next page is asked for."""
    ended: bool
    """Whether this was the last page of a bounded query."""


class Pager:
    """One reader's way through a query's pages."""

    def __init__(
        self,
        *,
        cursor: str | None,
        bounded: bool,
        poll_interval: float,
        known: Iterable[Hashable] = (),
    ) -> None:
        self.cursor = cursor
        """The last good cursor: the next page is asked for after it."""
        self._known = set(known)  # keys to drop when they come, because they are settled
        self._bounded = bounded
        self._poll_interval = poll_interval
        self._seen: set[Hashable] = set()  # what came from beyond the cursor
        self._recent: deque[Hashable] = deque(maxlen=_REMEMBERED)
        self._empties = 0
        self._cries_wolf = False  # this server says "more" when there is no more
        self._stuck = False  # it said "more" and led nowhere

    def step(self, page: Page) -> Step:
        """Take a page in.

        Raises:
            CursorLoopError: the server leads in circles. The pager stays where it was.
        """
        moved = page.end_cursor not in ("", self.cursor)
        entries = page.entries
        if self._seen or self._known:
            dropped = self._seen | self._known
            entries = tuple(entry for entry in entries if _key(entry) not in dropped)
        self._refuse_loops(page, entries, moved=moved)
        if moved:
            self.cursor = page.end_cursor
            # What was seen ahead of the cursor lies before anything new.
            if entries:
                self._seen.clear()
        else:
            self._seen.update(map(_key, page.entries))
        if not page.has_next_page:
            self._known.clear()  # what has not come by now has a later version
        ended = self._bounded and not page.has_next_page
        return Step(
            entries=entries,
            cursor=self.cursor,
            moved=moved,
            pause=0.0 if ended else self._pause(page, moved=moved),
            ended=ended,
        )

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

    def _pause(self, page: Page, *, moved: bool) -> float:
        if not (page.has_next_page and moved):
            return self._poll_interval
        if page.entries:
            self._empties = 0
            return 0.0
        # An empty page is not the end, but a feed that always says "more" must not eat the limit.
        self._empties += 1
        if self._cries_wolf:
            return self._poll_interval
        doublings = self._empties - _FREE_EMPTIES - 1
        if doublings < 0:
            return 0.0
        share = _FIRST_PAUSE * 2.0 ** min(doublings, 10)
        self._cries_wolf = share >= 1
        return self._poll_interval * min(1.0, share)


def _key(entry: Entry) -> Hashable:
    if isinstance(entry, CoachingSession):
        return entry.key
    if entry.session_id is not None and entry.updated_at_time is not None:
        return entry.session_id, entry.updated_at_time
    return entry.raw

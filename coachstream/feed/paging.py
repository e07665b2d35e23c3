"""From cursor to cursor: what is new on a page, when to request the next, when it is a loop.

What a caught-up feed answers is not documented for coaching: siblings say ``hasNextPage`` for ever
true, an empty cursor, or the same one (Samsara's OpenAPI description of the training and assets
streams). So the pager handles all of them. Pure: pages go in, and what to do next comes out.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Sequence

from ..errors import CursorLoopError
from ..wire.pages import Entry, Page
from .recent import Batch, RecentVersions
from .versions import StoredVersion, Version, VersionSet, all_stored, key_of

_FREE_EMPTIES = 2
"""Empty pages in a row that are taken for gaps and cost no wait."""
_FIRST_PAUSE = 1 / 16
"""The share of the poll interval that the next empty page costs; it doubles from page to page."""
_REMEMBERED = 64
"""Pages a loop may be long and still be noticed at its first repetition."""
_REPEATS = 3
"""Pages in a row with nothing new that are too many for a bounded query."""


class Pager:
    """Follows the cursors of one query."""

    def __init__(
        self,
        *,
        cursor: str | None,
        bounded: bool,
        poll_interval: float,
        known: Iterable[Version] = (),
        recent: Sequence[Version] = (),
    ) -> None:
        """Create a pager.

        Args:
            cursor: Where to begin; None: at the start of the query.
            bounded: Whether the query has an end.
            poll_interval: Seconds to wait when there is no more.
            known: Versions beyond the cursor that are settled; they are dropped when they come.
            recent: Versions that came last before the cursor.
        """
        self.cursor = cursor
        """The last good cursor: the next page is requested after it."""
        self.moved = False
        """Whether the last page moved the cursor."""
        self.pause = 0.0
        """Seconds to wait before the next page is requested."""
        self.ended = False
        """Whether the last page was the last one of a bounded query."""
        self.repeated: tuple[Entry, ...] = ()
        """The entries of the last page that came before."""
        self.batch = Batch(())
        """All sessions of the last page."""
        self._known = VersionSet(known)
        self._seen = VersionSet()  # what came from beyond the cursor
        self._recent = RecentVersions(recent)  # what came last
        self._bounded = bounded
        self._poll_interval = poll_interval
        self._marks: deque[Hashable] = deque(maxlen=_REMEMBERED)
        self._empties = 0
        self._repeats = 0
        self._stuck = False  # it said "more" and led nowhere

    def take(self, page: Page) -> tuple[Entry, ...]:
        """Process one page; return the sessions that did not come before.

        Raises:
            CursorLoopError: the server leads in circles. The pager stays where it was.
        """
        moved = page.end_cursor not in ("", self.cursor)
        self.batch = Batch(page.entries, page.body)
        new, settled, seen = self._sort_out(page.entries)
        self._refuse_loops(page, new or settled, seen, moved=moved)
        self.moved = moved
        self.repeated = (*settled, *seen)
        if moved:
            self.cursor = page.end_cursor
            # What was seen beyond the cursor lies before anything new.
            if new:
                self._seen.clear()
        else:
            self._seen.update((*settled, *new))
        self._recent.append(self.batch if new is page.entries else Batch((*settled, *new)))
        if page.has_next_page:
            self._known.discard(settled)
        else:
            self._known.clear()  # what has not come by now has a later version
        self.ended = self._bounded and not page.has_next_page
        self.pause = 0.0 if self.ended else self._pause_after(page, new or settled, moved=moved)
        return new

    @property
    def remembered(self) -> list[StoredVersion]:
        """The versions that another pager of the same sessions should know as settled."""
        return [*all_stored(self._known), *self._recent.stored()]

    def forget_contents(self) -> None:
        """Keep no more of recent versions than it takes to recognise them."""
        self._recent.stored()

    def _sort_out(
        self, entries: tuple[Entry, ...]
    ) -> tuple[tuple[Entry, ...], tuple[Entry, ...], tuple[Entry, ...]]:
        """Return what is new, what was settled before this pager, and what it has seen."""
        new, settled = self._known.split(entries)
        new, seen = self._seen.split(new)
        new, repeated = self._recent.split(new, self.batch)
        return new, settled, (*seen, *repeated)

    def _refuse_loops(
        self, page: Page, new: tuple[Entry, ...], seen: tuple[Entry, ...], *, moved: bool
    ) -> None:
        """Raise if the server says that there is more, but leads nowhere."""
        if not page.has_next_page:
            return
        if moved and page.entries:
            first, last = page.entries[0], page.entries[-1]
            mark = page.end_cursor, len(page.entries), key_of(first), key_of(last)
            if mark in self._marks:
                raise CursorLoopError(f"the server repeats cursor {page.end_cursor!r} and its page")
            self._marks.append(mark)
        repeats = self._repeats + 1 if seen and not new else 0
        stuck = not (moved or new)
        # Where the next page begins with the end of the last one, a feed's end looks like this too:
        # so an unbounded query is at a loss only where its own last page comes again.
        same_page = stuck and page.end_cursor != "" and seen and all(e in self._seen for e in seen)
        if same_page or (self._bounded and (repeats == _REPEATS or (stuck and self._stuck))):
            raise CursorLoopError(
                f"cursor {page.end_cursor!r} leads to nothing new, but the server reports more"
            )
        self._repeats, self._stuck = repeats, stuck

    def _pause_after(self, page: Page, new: tuple[Entry, ...], *, moved: bool) -> float:
        if not (page.has_next_page and moved):
            return self._poll_interval
        if self._bounded:
            return 0.0  # its end comes the sooner
        if new:
            self._empties = 0
            return 0.0
        # An empty page is not the end, but a feed that always says "more" must not eat the limit.
        self._empties += 1
        doublings = self._empties - _FREE_EMPTIES - 1
        if doublings < 0:
            return 0.0
        share = _FIRST_PAUSE * 2.0 ** min(doublings, 10)
        return self._poll_interval * min(1.0, share)

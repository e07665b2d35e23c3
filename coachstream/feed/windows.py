"""Cuts the past into windows that touch and never overlap.

A window should take a few pages: with much less, requests are spent on pages that are half empty;
with much more, one reader would still be busy when the others have nothing left to do. How much
lies in a stretch of time nobody knows beforehand, so each window is cut as wide as those read so
far suggest, and one that proves much too wide is given back to be cut again. Towards the end they
become narrow. Pure.
"""

from bisect import insort
from datetime import datetime, timedelta
from math import ceil

PAGES = 4.0
"""Pages a window is meant to have."""
TOO_MANY = 2 * PAGES
"""Pages still to come that make a window one to give back."""
FIRST_CUT = 8
"""Windows per reader that the whole is cut into before anything is known."""
NARROWEST = timedelta(minutes=1)
"""How wide a window is at least, but for the last one."""
GROWTH = 4
"""How much wider than the last one a window may be: what was learned may hold for a while only."""
_SHORTEST = timedelta(seconds=10)
"""The time one page is taken to cover at least: whatever changed at one stroke is no measure."""
_FORGETTING = 0.7
"""The share of what was learned that is kept when something new is."""

Window = tuple[datetime, datetime]
"""A start, and the end, which is not part of it."""


class Windows:
    """What is left of a stretch of time; it is handed out from its front."""

    def __init__(self, start: datetime, end: datetime, *, readers: int) -> None:
        self._left: list[Window] = [(start, end)] if start < end else []
        self._readers = readers
        self._width = self._first_width = max((end - start) / (FIRST_CUT * readers), NARROWEST)
        self._pages, self._seconds = 0.0, 0.0

    def __bool__(self) -> bool:
        """Whether anything is left."""
        return bool(self._left)

    def begins_before(self, moment: datetime) -> bool:
        """Tell whether anything before ``moment`` is left."""
        return bool(self._left) and self._left[0][0] < moment

    @property
    def pages_left(self) -> float:
        """How many pages are left, if they lie as densely as those read last."""
        left = sum((end - start for start, end in self._left), timedelta())
        return self._pages / self._seconds * left.total_seconds() if self._seconds else 0.0

    def take(self) -> Window | None:
        """Return the next window; None when nothing is left."""
        if not self._left:
            return None
        if self._seconds:
            self._width = max(NARROWEST, min(self._suggested(), GROWTH * self._width))
        # The API's times are milliseconds, and equal ones would ask for a snapshot: so no scraps.
        width = timedelta(milliseconds=self._width // timedelta(milliseconds=1))
        start, end = self._left.pop(0)
        if end - start >= 1.5 * width:
            self._left.insert(0, (start + width, end))
            end = start + width
        return start, end

    def cut_again(self, window: Window, first: datetime, last: datetime) -> datetime | None:
        """Take back a window if it has far too many pages after one from ``first`` to ``last``.

        Returns:
            From where on it was taken back, which is ``first`` or a little before; None: it stays.
            If the server does not keep to the order of time, this is a bad guess, and no more.
        """
        start, end = window
        page = max(last - first, _SHORTEST)
        if end - last < TOO_MANY * page:
            return None
        begin = max(start, first.replace(microsecond=first.microsecond // 1000 * 1000))
        middle = begin + timedelta(seconds=ceil(PAGES * page.total_seconds()))
        insort(self._left, (begin, middle))
        insort(self._left, (middle, end))
        self.learn(page, 1.0)
        return begin

    def learn(self, span: timedelta, pages: float) -> None:
        """Take in how many pages a stretch of time had."""
        self._pages = _FORGETTING * self._pages + pages
        self._seconds = _FORGETTING * self._seconds + span.total_seconds()

    def _suggested(self) -> timedelta:
        left = sum((end - start for start, end in self._left), timedelta())
        pages_left = self.pages_left
        if pages_left <= 1:
            return max(self._first_width, left / self._readers)
        return left * min(max(pages_left / (2 * self._readers), 1.0), PAGES) / pages_left

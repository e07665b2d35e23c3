"""How far the times of a feed have come, and how much they went back on the way. Pure."""

from collections import deque
from datetime import datetime, timedelta
from itertools import accumulate
from operator import sub

from ..models import Position

TOLERANCE = timedelta(minutes=1)
"""How far a time may be ahead of the server's clock: a ``Date`` is cut off to seconds."""
MOST_DISORDER = timedelta(days=1)
"""How far back times may go: a time that is further off is one odd record, not a feed's order."""
LAST = 10
"""How many of the times read last must agree that reading has come so far."""


class Watermark:
    """The highest time read, and by how much earlier times have come after later ones.

    A time in the future is not counted: it comes from a clock that is wrong, and reading that
    restarted there would leave out everything until then.
    """

    def __init__(self, position: Position) -> None:
        self.disorder = min(position.disorder, MOST_DISORDER)
        """By how much times went back."""
        self.time = _credible(position)
        """The highest time so far."""
        self._last = deque((time for _, time in position.recent[-LAST:]), maxlen=LAST)
        self._highest: datetime | None = None  # the same, of the present query

    @property
    def safe(self) -> datetime | None:
        """The time before which nothing is still to come, as far as was seen.

        That is not the highest: a clock may have been ahead once, and what came last need not have
        been followed by an earlier time yet.
        """
        return None if self.time is None else min((self.time, *self._last)) - self.disorder

    def restart(self) -> None:
        """Expect earlier times again, because another query is read."""
        self._highest = None

    def advance(self, times: list[datetime], now: datetime | None) -> datetime | None:
        """Take in the times of a page, in reading order, which was received at ``now``.

        Returns:
            The highest of them that does not lie in the future.
        """
        if not (times := credible(times, now)):
            return None
        newest = max(times)
        self._last.extend(times[-LAST:])
        if self._highest is not None:
            times = [self._highest, *times]
        highest = max(times[0], newest)
        if highest - min(times) > self.disorder < MOST_DISORDER and times != sorted(times):
            back = map(sub, accumulate(times, max), times)
            self.disorder = min(max(self.disorder, *back), MOST_DISORDER)
        self._highest = highest
        self.time = highest if self.time is None else max(self.time, highest)
        return newest


def credible(times: list[datetime], now: datetime | None) -> list[datetime]:
    """Return the times that do not lie in the future."""
    if now is None or not times or max(times) - now <= TOLERANCE:
        return times
    return [time for time in times if time - now <= TOLERANCE]


def _credible(position: Position) -> datetime | None:
    """Return a position's watermark, unless it lay in the future when it was stored.

    Only an earlier release, which stored no digests, counted a time in the future. What is settled
    beyond a cursor that has not moved is later than the cursor as well.
    """
    watermark, issued = position.watermark, position.cursor_time
    if position.digests or not watermark or not issued or watermark - issued <= TOLERANCE:
        return watermark
    times = [time for _, time in (*position.recent, *position.settled)]
    return max(credible(times, issued), default=issued)

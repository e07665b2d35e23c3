"""Notices handlers that do not end, whatever the reader does."""

import asyncio
from collections.abc import Callable, Hashable, Iterable

LOOK = 5.0
"""Seconds between two looks."""
STALLED = 60.0
"""Seconds without movement after which that is reported, and again each time they have passed."""


class Watch:
    """Reports that something has not moved for long, and later that it has.

    It looks now and then, so that what it watches costs no more; and only while there is something
    to watch.
    """

    def __init__(
        self,
        *,
        marks: Callable[[], Iterable[Hashable]],
        on_stalled: Callable[[float], None],
        on_moved: Callable[[float], None],
    ) -> None:
        """Create it.

        Args:
            marks: Returns a value for each thing to watch, which is another one when it has moved.
                Without any, the watch ends.
            on_stalled: Called with the seconds for which a mark has been the same.
            on_moved: Called with those seconds, to within a look, after it has moved.
        """
        self._marks = marks
        self._on_stalled = on_stalled
        self._on_moved = on_moved
        self._looks: dict[Hashable, int] = {}  # at how many looks each mark was the same
        self._reported = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Watch, if it does not yet."""
        if self._timer is None:
            self._look()

    def end(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        self._looks = {mark: self._looks.get(mark, -1) + 1 for mark in self._marks()}
        still = max(self._looks.values(), default=0) * LOOK
        if still >= STALLED:
            if still % STALLED == 0:
                self._on_stalled(still)
            self._reported = still
        elif self._reported:
            self._on_moved(self._reported + LOOK)
            self._reported = 0.0
        if self._looks:
            self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)

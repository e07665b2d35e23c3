"""Items by key: one of a key at a time, in order, and different keys at the same time.

A key with nothing to do costs nothing: it is dropped.
"""

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from ..models import CoachingSession

T = TypeVar("T")


def driver_of(session: CoachingSession) -> Hashable:
    """Return the driver's id, the default key: a driver's sessions keep their order."""
    return session.driver.driver_id


class Lanes(Generic[T]):
    """Items by key, and which of them may start."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[T] | None] = {}
        # Only busy keys have an entry; None: busy, and nothing waits behind it.
        self._ready: deque[tuple[Hashable, T]] = deque()

    def __len__(self) -> int:
        """Return how many keys are busy."""
        return len(self._waiting)

    @property
    def ready(self) -> int:
        """How many items may start now."""
        return len(self._ready)

    def add(self, key: Hashable, item: T) -> None:
        """Put an item at the end of its lane."""
        if key not in self._waiting:
            self._waiting[key] = None
            self._ready.append((key, item))
            return
        lane = self._waiting[key]
        if lane is None:
            lane = self._waiting[key] = deque()
        lane.append(item)

    def start(self) -> tuple[Hashable, T] | None:
        """Take an item that may start; nothing else of its lane starts until `done`."""
        return self._ready.popleft() if self._ready else None

    def again(self, key: Hashable, item: T) -> None:
        """Let an item that has failed start again, before those that wait behind it."""
        self._ready.append((key, item))

    def done(self, key: Hashable) -> None:
        """Finish the started item of that key, and let the next one start."""
        lane = self._waiting[key]
        if lane:
            self._ready.append((key, lane.popleft()))
        else:
            del self._waiting[key]

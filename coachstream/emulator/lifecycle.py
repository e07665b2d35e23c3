"""Random changes in the world: the history of its sessions, and the next change."""

from collections.abc import Iterator
from random import Random
from typing import Literal

from .content import DAY

Change = Literal["begin", "complete", "reassign", "annotate", "delete", "coach"]
"""The kinds of change: "coach" to a driver's coach assignment, the others to a session."""

DUE_AFTER = 14 * DAY
"""Time until a session is due: 14 days by default, according to Samsara's help."""

_CHANGES: tuple[Change, ...] = ("begin", "complete", "reassign", "annotate", "delete", "coach")
_WEIGHTS = (36, 30, 10, 14, 4, 6)

_TYPICAL: tuple[tuple[Change, float], ...] = (
    ("reassign", 0.15),
    ("annotate", 0.3),
    ("complete", 0.75),
    ("delete", 0.04),
)
"""The changes of a session after it has begun, in order, with their probabilities."""


def past_changes(
    random: Random, sessions: int, start: int, end: int
) -> Iterator[tuple[int, int, Change]]:
    """Yield (time, session number, change) for sessions begun between two times, unordered."""
    for number in range(sessions):
        at = start + int(random.random() * (end - start))
        yield at, number, "begin"
        for change, probability in _TYPICAL:
            if random.random() < probability:
                at += 1 + int(random.random() * 6 * DAY)
                if at < end:
                    yield at, number, change


def next_change(random: Random) -> Change:
    """Draw the next change."""
    return random.choices(_CHANGES, weights=_WEIGHTS)[0]


def pause(random: Random, per_hour: float) -> int:
    """Draw the milliseconds until the next change; changes are independent of each other."""
    return 1 + int(random.expovariate(per_hour) * 3_600_000)

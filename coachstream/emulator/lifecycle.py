"""What happens in the world of itself: the lives sessions have had, and the next thing to come."""

from collections.abc import Iterator
from random import Random
from typing import Literal

from .content import DAY

Act = Literal["begin", "complete", "reassign", "annotate", "delete", "coach"]
"""What can happen: the first five to a session, "coach" to a driver's coach assignment."""

DUE_AFTER = 14 * DAY
"""How long a driver has: 14 days unless an organisation says otherwise, says Samsara's help."""

_ACTS: tuple[Act, ...] = ("begin", "complete", "reassign", "annotate", "delete", "coach")
_WEIGHTS = (36, 30, 10, 14, 4, 6)

_USUAL: tuple[tuple[Act, float], ...] = (
    ("reassign", 0.15),
    ("annotate", 0.3),
    ("complete", 0.75),
    ("delete", 0.04),
)
"""What a session goes through, in this order, and how likely each is."""


def past_lives(
    random: Random, sessions: int, start: int, end: int
) -> Iterator[tuple[int, int, Act]]:
    """Yield (when, number of the session, act) for lives begun between two moments, unordered."""
    for number in range(sessions):
        at = start + int(random.random() * (end - start))
        yield at, number, "begin"
        for act, likely in _USUAL:
            if random.random() < likely:
                at += 1 + int(random.random() * 6 * DAY)
                if at < end:
                    yield at, number, act


def next_act(random: Random) -> Act:
    """Draw what happens next."""
    return random.choices(_ACTS, weights=_WEIGHTS)[0]


def pause(random: Random, per_hour: float) -> int:
    """Draw how many milliseconds pass until then; happenings are independent of each other."""
    return 1 + int(random.expovariate(per_hour) * 3_600_000)

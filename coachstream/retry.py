"""Whether to ask again, and when: decided here, carried out elsewhere.

Which errors are worth it is written on their classes (``transient``). Waits are drawn evenly from
zero to a ceiling that doubles ("full jitter"), so that many clients do not come back in step; the
server's own ``Retry-After`` is a minimum that no draw can undercut.
"""

from datetime import timedelta
from random import Random

import msgspec

from .arguments import at_least_one, seconds

_MOST_DOUBLINGS = 30
"""A feed may fail for days: the ceiling is long reached by then, and floats would overflow."""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How patient to be. Durations are seconds, or a ``timedelta``.

    Raises:
        InvalidArgumentError: naming the field that makes no sense.
    """

    attempts: int = 8
    """Tries in all of a single call, the first included. Streams do not count them."""
    give_up_after: float | timedelta | None = None
    """The time without one good answer after which a stream gives up; None: never."""
    first_delay: float | timedelta = 0.5
    """The ceiling of the first wait."""
    max_delay: float | timedelta = 30.0
    """The ceiling at which doubling stops."""

    def __post_init__(self) -> None:
        at_least_one("attempts", self.attempts)
        if self.give_up_after is not None:
            seconds("give_up_after", self.give_up_after)
        seconds("first_delay", self.first_delay)
        seconds("max_delay", self.max_delay)

    def delay(self, attempt: int, random: Random, *, at_least: float | None = None) -> float:
        """Return the seconds to wait after failed try number ``attempt``.

        ``at_least`` is what the other side asked for, if it did.
        """
        doublings = min(max(attempt - 1, 0), _MOST_DOUBLINGS)
        first = seconds("first_delay", self.first_delay)
        ceiling = min(seconds("max_delay", self.max_delay), first * 2.0**doublings)
        return max(random.uniform(0.0, ceiling), at_least or 0.0)

    def for_a_call(self) -> "Patience":
        """Return the patience of a single call: so many tries."""
        return Patience(attempts=self.attempts)

    def for_a_stream(self) -> "Patience":
        """Return the patience of a stream: so much time, by default without end."""
        if self.give_up_after is None:
            return Patience()
        return Patience(seconds=seconds("give_up_after", self.give_up_after))


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """What ends the tries of one request; None: not that."""

    attempts: int | None = None
    seconds: float | None = None

    def is_over(self, *, attempt: int, failing_for: float) -> bool:
        """Tell whether to give up after failed try number ``attempt``.

        ``failing_for`` are the seconds from the last good answer to the end of the coming wait: a
        wait that could only end in giving up is not begun.
        """
        if self.attempts is not None and attempt >= self.attempts:
            return True
        return self.seconds is not None and failing_for > self.seconds

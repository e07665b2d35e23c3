"""Decides whether to retry and after what delay; the callers wait.

Error classes state whether a retry can help (``transient``). Delays are drawn evenly from zero to a
ceiling that doubles ("full jitter"), so that many clients do not retry at the same moment. A delay
is never shorter than the server's ``Retry-After``.
"""

from datetime import timedelta
from random import Random

import msgspec

from .arguments import at_least_one, seconds

_MAX_DOUBLINGS = 30
"""A feed may fail for days: without this bound, the float would overflow."""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long to retry. Durations are seconds, or a ``timedelta``.

    A delay is random, between zero and a ceiling that doubles with each try, and never shorter than
    the server's ``Retry-After``.

    Attributes:
        attempts: Maximum tries of one call or one handler, the first included. Streams do not count
            tries.
        give_up_after: A stream or a call gives up when it has failed for this time, counted from
            its first failure after a success. None: a stream never gives up; a call gives up when
            its ``attempts`` are used up, or when it would take longer than that many time-outs and
            ``max_delay`` together.
        first_delay: Ceiling of the delay after the first try.
        max_delay: The ceiling never rises above this.

    Raises:
        InvalidArgumentError: a field has an impossible value; the error names the field.
    """

    attempts: int = 8
    give_up_after: float | timedelta | None = None
    first_delay: float | timedelta = 0.5
    max_delay: float | timedelta = 30.0

    def __post_init__(self) -> None:
        at_least_one("attempts", self.attempts)
        if self.give_up_after is not None:
            seconds("give_up_after", self.give_up_after)
        seconds("first_delay", self.first_delay)
        seconds("max_delay", self.max_delay)

    def delay(self, attempt: int, random: Random, *, at_least: float | None = None) -> float:
        """Return the seconds to wait after failed try number ``attempt``.

        ``at_least`` is the minimum in seconds, such as the server's ``Retry-After``.
        """
        doublings = min(max(attempt - 1, 0), _MAX_DOUBLINGS)
        first = seconds("first_delay", self.first_delay)
        ceiling = min(seconds("max_delay", self.max_delay), first * 2.0**doublings)
        return max(random.uniform(0.0, ceiling), at_least or 0.0)

    def for_a_call(self, *, longest_try: float) -> "Patience":
        """Return the limit of a single call: a number of tries, and a total time.

        Tries of ``longest_try`` seconds and our own delays stay within that time. A server that
        names a long time to wait does not, nor does a long pause of the rate limit.
        """
        total = self.attempts * (longest_try + seconds("max_delay", self.max_delay))
        return Patience(attempts=self.attempts, seconds=self._give_up_after, total=total)

    def for_a_stream(self) -> "Patience":
        """Return the limit of a stream: a time, by default unlimited."""
        return Patience(seconds=self._give_up_after)

    @property
    def _give_up_after(self) -> float | None:
        given = self.give_up_after
        return None if given is None else seconds("give_up_after", given)


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """When to stop retrying one request."""

    attempts: int | None = None
    """Maximum tries; None: unlimited."""
    seconds: float | None = None
    """Maximum time from the first failure; None: unlimited."""
    total: float | None = None
    """Maximum time from the beginning, the wait at the rate limiter included; None: unlimited."""

    def is_over(self, *, attempt: int, failing_for: float, total: float = 0.0) -> bool:
        """Return whether to give up after failed try number ``attempt``.

        ``failing_for`` is the time in seconds from the first failure, and ``total`` from the
        beginning, to the end of the next delay, so that no delay ends in giving up.
        """
        return (
            (self.attempts is not None and attempt >= self.attempts)
            or (self.seconds is not None and failing_for > self.seconds)
            or (self.total is not None and total > self.total)
        )

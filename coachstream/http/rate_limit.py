"""The pace: evenly spaced requests, and one gate at which all wait when the server says so.

Limits are per organisation (https://developers.samsara.com/docs/rate-limits), so other programs
use them up too: a 429 is ordinary. Then all callers hold until the time the server named, the pace
halves, and it creeps back to the full rate with every request let through.
"""

import anyio
from aiolimiter import AsyncLimiter

from ..arguments import positive
from ..clock import Clock

SESSIONS_PER_SECOND = 5.0
"""Documented for ``GET /coaching/sessions/stream`` in Samsara's OpenAPI description."""
ASSIGNMENTS_PER_SECOND = 10.0
"""Documented for both operations on ``/coaching/driver-coach-assignments``."""

_MARGIN = 0.02
"""How much slower than the rate we go: the network's jitter can push two requests together."""
_SLOWEST = 1 / 32
"""The smallest share of the rate that halving leads to."""
_CREEP = 0.01
"""The share of the rate won back with each request."""


class Limit:
    """One limit of the server's, shared by everyone who is to keep it together.

    It belongs to one event loop.
    """

    def __init__(self, rate: float | None) -> None:
        self._spacing = 0.0 if rate is None else (1 + _MARGIN) / rate
        # A bucket of one spaces requests evenly; a bucket of five would let nine out in a second.
        self._bucket = None if rate is None else AsyncLimiter(1, self._spacing)
        self._door = anyio.Lock(fast_acquire=True)  # with nobody before us, no turn of the loop
        self._open_at = float("-inf")  # as we were told
        self._next_at = float("-inf")  # as the pace would have it
        self._slowed_at = float("-inf")
        self._departed = float("-inf")
        self.pace = 1.0
        """The share of the full rate in use."""

    async def turn(self, clock: Clock) -> None:
        """Return when the next request may leave; first come, first served."""
        async with self._door:
            while True:
                while (wait := self.held_for(clock)) > 0:
                    await clock.sleep(wait)
                if self._bucket is not None:
                    await self._bucket.acquire()
                if self.held_for(clock) <= 0:
                    break
                # Told to hold while waiting for the bucket: that drop is spent, take another.
            if self.pace < 1:
                self._next_at = clock.monotonic() + self._spacing / self.pace
                self.pace = min(1.0, self.pace + _CREEP)

    async def depart(self, clock: Clock) -> None:
        """Return when the request may go onto its connection.

        Making a connection takes its time, and requests that had to wait for one would otherwise
        catch up with those that had one, or leave while the gate is shut.
        """
        while (wait := max(self._departed + self._spacing, self._open_at) - clock.monotonic()) > 0:
            await clock.sleep(
                wait
            )  # and look again: the loop may have been blocked, or the gate shut
        self._departed = clock.monotonic()

    def held_for(self, clock: Clock) -> float:
        """Return the seconds until the gate opens; 0 or less: it is open."""
        return max(self._open_at, self._next_at) - clock.monotonic()

    def hold(self, seconds: float, clock: Clock) -> None:
        """Shut the gate for everyone, for ``seconds`` at least."""
        self._open_at = max(self._open_at, clock.monotonic() + seconds)

    def slow_down(self, left_at: float, clock: Clock) -> None:
        """Halve the pace, because a request that left at ``left_at`` was one too many.

        Several requests under way may be refused for one and the same excess: only one that left
        after the last halving halves again.
        """
        if left_at >= self._slowed_at:
            self._slowed_at = clock.monotonic()
            self.pace = max(_SLOWEST, self.pace / 2)


class RateLimits:
    """How many requests may leave each second; None: as many as can.

    Give one and the same object to several clients to make them share their limits. None is for
    servers of your own: Samsara enforces its limits.

    Raises:
        InvalidArgumentError: a rate is not a positive number.
    """

    def __init__(
        self,
        *,
        sessions: float | None = SESSIONS_PER_SECOND,
        assignments: float | None = ASSIGNMENTS_PER_SECOND,
    ) -> None:
        self.sessions = Limit(_rate("sessions", sessions))
        self.assignments = Limit(_rate("assignments", assignments))


def _rate(argument: str, rate: float | None) -> float | None:
    return None if rate is None else positive(argument, rate)

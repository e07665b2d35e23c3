"""The rate limit: evenly spaced requests, and one pause for all when the server answers 429.

Limits are per organisation (https://developers.samsara.com/docs/rate-limits), so other programs
use them up too: a 429 is ordinary. Then every caller waits until the time the server named, the
pace halves, and it recovers a little with every request.
"""

import asyncio

import anyio
from aiolimiter import AsyncLimiter

from ..arguments import positive
from ..clock import Clock
from ..errors import InvalidArgumentError
from ..tasks.supervision import OVERDUE
from ..telemetry import CallOverdue, CallReturned, Observer

SESSIONS_PER_SECOND = 5.0
"""Documented for ``GET /coaching/sessions/stream`` in Samsara's OpenAPI description."""
ASSIGNMENTS_PER_SECOND = 10.0
"""Documented for both operations on ``/coaching/driver-coach-assignments``."""

_MARGIN = 0.02
"""How much slower than the limit we are: network jitter can push two requests together."""
_SLOWEST = 1 / 32
"""The smallest share of the rate that halving leads to."""
_RECOVERY = 0.01
"""The share of the rate recovered with each request."""
_PAUSE = 1.0
"""Seconds to wait after a 429 that names no time: the limits are for one second."""
_SLOT = "a slot of the rate limiter"
"""What is awaited, for events."""


class PausedError(Exception):
    """The request may not be sent now: a pause began while it waited for its connection."""


class Limiter:
    """One of the server's limits, shared by every request that counts towards it.

    It belongs to one event loop, and to another one when that has ended. The first request waits,
    too, as if one had just been sent.
    """

    def __init__(self, rate: float | None) -> None:
        self._spacing = 0.0 if rate is None else (1 + _MARGIN) / rate
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bucket: AsyncLimiter | None = None
        self._fresh = True  # nothing was sent on this event loop
        self._queue = anyio.Lock(fast_acquire=True)  # uncontended, it does not yield to the loop
        self._due = float("inf")  # when the request that is first in the queue should go on
        self._paused_until = float("-inf")  # as the server said
        self._slowed_until = float("-inf")  # as the lowered pace requires
        self._slowed_at = float("-inf")
        self._sent_at = float("-inf")
        self.pace = 1.0
        """The share of the full rate in use."""

    async def acquire(self, clock: Clock) -> None:
        """Wait for the next slot; first come, first served.

        Raises:
            InvalidArgumentError: another event loop uses this limit.
        """
        self._belong_to(asyncio.get_running_loop())
        async with self._queue:
            try:
                await self._wait_for_slot(clock)
            finally:
                self._due = float("inf")
            if self.pace < 1:
                self._slowed_until = clock.monotonic() + self._spacing / self.pace
                self.pace = min(1.0, self.pace + _RECOVERY)

    def overdue(self, clock: Clock) -> float:
        """Return the seconds since somebody should have got a slot; 0 or less: nobody should."""
        return clock.monotonic() - self._due

    def _belong_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take what waits from the running loop; one queue can't wake tasks of two."""
        if loop is self._loop:
            return
        if self._loop is not None and self._loop.is_running():
            raise InvalidArgumentError(
                "rate_limits",
                "another event loop uses this object; clients on different loops can't share it",
            )
        self._loop = loop
        self._queue = anyio.Lock(fast_acquire=True)
        # A bucket of one spaces requests evenly; a bucket of five would let nine out in a second.
        self._bucket = AsyncLimiter(1, self._spacing) if self._spacing else None
        self._fresh = True

    async def _wait_for_slot(self, clock: Clock) -> None:
        while True:
            while (wait := self.paused_for(clock)) > 0:
                self._due = clock.monotonic() + wait
                await clock.sleep(wait)
            if self._bucket is not None:
                if self._fresh:
                    # As if one had just been sent: by a client that has ended a moment ago.
                    await self._bucket.acquire()
                    self._fresh = False
                self._due = clock.monotonic() + self._spacing
                await self._bucket.acquire()
            if self.paused_for(clock) <= 0:
                return
            # Paused while waiting for the bucket: that slot is spent, take another.

    async def before_sending(self, clock: Clock) -> None:
        """Wait until the request may be sent on its connection.

        Making a connection takes time. Requests that had to wait for one would otherwise catch up
        with those that had one, or be sent during a pause.

        Raises:
            PausedError: there is a pause now. It may be long, so wait for another slot instead of
                keeping a connection, and the time-out of the response running.
        """
        while True:  # check again after a wait: the loop may have been blocked meanwhile
            if self._paused_until > clock.monotonic():
                raise PausedError
            if (wait := self._sent_at + self._spacing - clock.monotonic()) <= 0:
                break
            await clock.sleep(wait)
        self._sent_at = clock.monotonic()

    def paused_for(self, clock: Clock) -> float:
        """Return the seconds until the pause is over; 0 or less: there is none."""
        return max(self._paused_until, self._slowed_until) - clock.monotonic()

    def refused(self, retry_after: float | None, *, sent_at: float, clock: Clock) -> None:
        """Make everyone wait because of a 429, as long as it says, and halve the pace.

        Several requests under way may be refused for one and the same excess. So only a request
        that was sent after the last halving halves the pace again.
        """
        now = clock.monotonic()
        seconds = _PAUSE if retry_after is None else retry_after
        self._paused_until = max(self._paused_until, now + seconds)
        if sent_at >= self._slowed_at:
            self._slowed_at = now
            self.pace = max(_SLOWEST, self.pace / 2)


class SlotWatch:
    """Reports that a slot is overdue, however long the queue and the pauses are, and its coming."""

    def __init__(self, limiter: Limiter, clock: Clock, observe: Observer) -> None:
        self._limiter = limiter
        self._clock = clock
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._reported = False
        self._timer = self._loop.call_later(OVERDUE, self._look)

    def _look(self) -> None:
        if self._limiter.overdue(self._clock) > OVERDUE:
            self._reported = True
            self._observe(CallOverdue(what=_SLOT, seconds=self._loop.time() - self._began))
        else:
            self._timer = self._loop.call_later(OVERDUE, self._look)

    def end(self) -> None:
        """Stop watching: the slot has come, or nobody waits for it any more."""
        self._timer.cancel()
        if self._reported:
            self._observe(CallReturned(what=_SLOT, seconds=self._loop.time() - self._began))


class RateLimits:
    """Requests per second; None: unlimited.

    Clients on one event loop that are given the same object share its limits. None is for servers
    of your own: Samsara enforces its limits.

    Raises:
        InvalidArgumentError: a rate is not a positive number.
    """

    def __init__(
        self,
        *,
        sessions: float | None = SESSIONS_PER_SECOND,
        assignments: float | None = ASSIGNMENTS_PER_SECOND,
    ) -> None:
        self.sessions = Limiter(_rate("sessions", sessions))
        self.assignments = Limiter(_rate("assignments", assignments))


def _rate(argument: str, rate: float | None) -> float | None:
    return None if rate is None else positive(argument, rate)

"""What every part of a client or a consumer is given: time, chance, events, background tasks."""

from random import Random
from typing import Self

import msgspec

from ..clock import Clock
from ..telemetry import LoopBlocked, Observer
from .background import BackgroundTasks

NOTICEABLE_LAG = 0.5
"""Seconds by which a wait must be too long before that is reported."""


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """Four collaborators that go everywhere. Each client has one, and each consumer."""

    clock: Clock
    random: Random
    """Where jitter comes from."""
    observe: Observer
    """Called with every event."""
    tasks: BackgroundTasks

    def observed_by(self, observer: Observer) -> Self:
        """Return the same runtime with another observer."""
        return msgspec.structs.replace(self, observe=observer)

    async def sleep(self, seconds: float) -> None:
        """Wait, and report it if the wait became much longer.

        While the event loop is blocked, nothing can run and report it; but what was to wake up
        meanwhile wakes up late. So ordinary waits notice it, and no timer of its own is needed.
        """
        began = self.clock.monotonic()
        await self.clock.sleep(seconds)
        lag = self.clock.monotonic() - began - seconds
        if lag > NOTICEABLE_LAG:
            self.observe(LoopBlocked(lag=lag))

"""Clocks are passed in as arguments; this is the only module that reads the system's time."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

from .arguments import instance_with


class Clock(Protocol):
    """All that this library needs to know about time."""

    def now(self) -> datetime:
        """Return the current time as an aware datetime."""
        ...

    def monotonic(self) -> float:
        """Return the seconds since a fixed moment; the value never decreases."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until ``seconds`` have passed on this clock."""
        ...


class SystemClock:
    """The machine's clock; the default."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def checked_clock(clock: Clock | None) -> Clock:
    """Return the clock; None: the system's.

    Raises:
        InvalidArgumentError: it is no clock.
    """
    if clock is None:
        return SystemClock()
    return instance_with("clock", clock, "now", "monotonic", "sleep")

"""Time as an argument: the only module that asks for it."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from .errors import InvalidArgumentError


class Clock(Protocol):
    """The only three things this library may ask about time."""

    def now(self) -> datetime:
        """Return the time of day, aware."""
        ...

    def monotonic(self) -> float:
        """Return seconds from some fixed moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` have passed on this clock."""
        ...


class SystemClock:
    """The machine's."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def seconds(argument: str, value: float | timedelta) -> float:
    """Return a duration given at the front door as seconds.

    Raises:
        InvalidArgumentError: it is not a positive, finite number of seconds or ``timedelta``.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgumentError(argument, f"needs seconds or a timedelta, not {value!r}")
    if not 0 < value < float("inf"):
        raise InvalidArgumentError(argument, f"needs a positive duration, not {value}")
    return float(value)

"""Virtual time from the public test kit, under the names that the tests here use."""

import asyncio
from datetime import datetime, timedelta

import aiohttp.connector

from coachstream import SystemClock
from coachstream.testing import FastForwardLoop as VirtualLoop
from coachstream.testing import LoopClock, pass_time
from coachstream.testing import fast_forward as virtual

__all__ = ["LeapingClock", "LoopClock", "VirtualLoop", "pass_time", "virtual"]


class LeapingClock(LoopClock):
    """A `LoopClock` whose time of day can be set, as a machine's can."""

    def __init__(self) -> None:
        super().__init__()
        self.leapt = timedelta()

    def now(self) -> datetime:
        return super().now() + self.leapt


def _monotonic() -> float:
    """Return the running loop's time, or else the real one."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return SystemClock().monotonic()


# By the real time, idle connections would never become old enough to be closed, as in production,
# and aiohttp would look for such every 15 seconds of virtual time.
aiohttp.connector.monotonic = _monotonic  # type: ignore[attr-defined]  # it exports nothing

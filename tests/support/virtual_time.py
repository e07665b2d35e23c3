"""Virtual time from the public test kit, under the names that the tests here use."""

from datetime import datetime, timedelta

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

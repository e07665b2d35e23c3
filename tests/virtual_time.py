"""Time that flies, from the public test kit, by the names that the tests here use."""

from coachstream.testing import FastForwardLoop as VirtualLoop
from coachstream.testing import LoopClock, pass_time
from coachstream.testing import fast_forward as virtual

__all__ = ["LoopClock", "VirtualLoop", "pass_time", "virtual"]

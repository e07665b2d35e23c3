"""Tools to test your own service: the emulator, virtual time, and assertions on requests.

The pytest fixture ``samsara``, an `EmulatorThread`, needs no import. The test suites for your own
stores and ledgers are in `coachstream.testing.contracts`; they need pytest, this module does not.
``examples/testing`` is a complete example.

This package may import the public names of ``coachstream``, ``checkpoints`` and ``emulator``; only
tests import it.
"""

from coachstream.emulator import (
    Emulator,
    Fault,
    Profile,
    Request,
    Requests,
    World,
    cut_short,
    empty_page,
    garble,
    hang_up,
    malformed_session,
    oversize,
    redirect,
    refuse,
    serve,
    slow,
    stall,
)

from .fast_forward import FastForwardLoop, LoopClock, fast_forward, pass_time
from .requests import assert_all_handled, assert_limit_kept, assert_same_query, most_in_a_second
from .thread import EmulatorThread
from .waiting import wait_until
from .worlds import quiet_world

__all__ = [
    "Emulator",
    "EmulatorThread",
    "FastForwardLoop",
    "Fault",
    "LoopClock",
    "Profile",
    "Request",
    "Requests",
    "World",
    "assert_all_handled",
    "assert_limit_kept",
    "assert_same_query",
    "cut_short",
    "empty_page",
    "fast_forward",
    "garble",
    "hang_up",
    "malformed_session",
    "most_in_a_second",
    "oversize",
    "pass_time",
    "quiet_world",
    "redirect",
    "refuse",
    "serve",
    "slow",
    "stall",
    "wait_until",
]


def __dir__() -> list[str]:
    return __all__

"""A few hundred simulated lives in each ordinary run; and a library that is broken is found out."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from coachstream.clock import SystemClock
from coachstream.consumer import lanes
from coachstream.http import rate_limit as ratelimit
from coachstream.progress import frontier
from tests.simulate.plan import HARD, SOFT, STORE
from tests.simulate.run import simulate
from tests.simulate.tally import Tally, told

SEEDS = int(os.environ.get("COACHSTREAM_SEEDS", "300"))
LONGEST = float("inf") if "COACHSTREAM_SEEDS" in os.environ else 25.0
"""Seconds after which no further seed is begun, unless seeds were asked for by number."""
FEW = 60
"""Seeds in which a broken library must have been found out."""
OTHERS = {
    "clock leaps",
    "handler fails",
    "handler says Retry",
    "ledger fails",
    "life ends by cancel",
    "life ends by close",
    "life ends by close client",
    "life ends by crash",
    "life ends by fail",
    "loop left",
    "observer raises",
    "save cancelled halfway",
    "time-out around a step",
}
FAULTS = {*SOFT, *HARD, *STORE, *OTHERS}
SUBJECTS = {
    *(
        f"{source}, {way}"
        for source in ("stream", "stream by windows", "backfill")
        for way in ("loop", "pages", "consume")
    ),
    *("assign", "unassign", "list"),
}

pytestmark = pytest.mark.timeout(900)  # for as many seeds as are asked for


@pytest.fixture(autouse=True)
def _observers_fail_in_silence() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_whatever_fails_and_whenever_every_promise_is_kept():
    clock, tally = SystemClock(), Tally()
    began = clock.monotonic()
    for seed in range(SEEDS):
        outcome = simulate(seed)
        tally.add(outcome)
        assert not outcome.violations, told(outcome)
        # On a slow machine it takes longer, rather than leave something out.
        met = {*tally.faults} >= FAULTS and {*tally.subjects} >= SUBJECTS
        if met and clock.monotonic() - began > LONGEST:
            break
    assert {*tally.faults} >= FAULTS, str(tally)
    assert {*tally.subjects} >= SUBJECTS, str(tally)


def _position_of_the_last_page(self):
    """What may be saved, were a page done as soon as it is open."""
    for page in self._pages:
        page.settle_first(len(page.reading.entries))
    self._advance()
    return _position(self)


_position = vars(frontier.Frontier)["position"].fget


async def _no_wait(self, clock):
    """Let a request leave at once."""


def _start_at_once(self, key, item):
    """Let an item start though its lane is busy."""
    self._waiting.setdefault(key, None)
    self._ready.append((key, item))


def _nothing_is_busy(self, key):
    self._waiting.pop(key, None)


@pytest.mark.parametrize(
    ("owner", "broken", "promise"),
    [
        (
            frontier.Frontier,
            {"position": property(_position_of_the_last_page)},
            "no place claims what was not settled",
        ),
        (
            lanes.Lanes,
            {"add": _start_at_once, "done": _nothing_is_busy},
            "one of a driver's at a time",
        ),
        (ratelimit.Limiter, {"acquire": _no_wait, "before_sending": _no_wait}, "the limit is kept"),
    ],
    ids=["a page is settled when it is opened", "two of a driver's at once", "no limit"],
)
def test_a_library_that_breaks_a_promise_is_found_out(monkeypatch, owner, broken, promise):
    for name, how in broken.items():
        monkeypatch.setattr(owner, name, how)
    for seed in range(FEW):
        try:
            found = simulate(seed).violations
        except AssertionError:
            continue  # the library has noticed for itself
        if any(one.startswith(promise) for one in found):
            return
    pytest.fail(f"{FEW} seeds, and nobody noticed")


def test_one_seed_is_one_run_byte_for_byte():
    script = (
        "import logging; logging.disable()\n"
        "from tests.simulate.run import simulate\n"
        "print([simulate(seed).digest for seed in range(30, 60)])"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1

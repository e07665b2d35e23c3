"""A hundred simulated runs; and a broken library must be detected.

``python -m tests.simulate`` runs as many as you like.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from coachstream.consumer import lanes
from coachstream.http import rate_limit
from coachstream.progress import frontier
from tests.simulate.plan import HARD, SOFT, STORE
from tests.simulate.run import simulate
from tests.simulate.summary import Summary, describe

SEEDS = range(60, 460)
"""Some seeds before take very long."""
LEAST_SEEDS = 100
"""So many are run, and as many more as it takes to see every fault and subject."""
DETECTION_SEEDS = 60
"""Seeds within which a broken library must be detected."""
OTHERS = {
    "clock jumps",
    "handler fails",
    "handler raises Retry",
    "ledger fails",
    "run ends by cancel",
    "run ends by close",
    "run ends by close client",
    "run ends by crash",
    "run ends by fail",
    "loop left",
    "observer raises",
    "save cancelled halfway",
    "time-out around a step",
}
FAULTS = {*SOFT, *HARD, *STORE, *OTHERS}
SUBJECTS = {
    *(
        f"{source}, {interface}"
        for source in ("stream", "stream by windows", "backfill")
        for interface in ("loop", "pages", "consume")
    ),
    *("assign", "unassign", "list"),
}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def _do_not_log_failing_observers() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_every_promise_is_kept_whatever_fails():
    summary = Summary()
    for count, seed in enumerate(SEEDS):
        all_seen = {*summary.faults} >= FAULTS and {*summary.subjects} >= SUBJECTS
        if count >= LEAST_SEEDS and all_seen:
            break
        outcome = simulate(seed)
        summary.add(outcome)
        assert not outcome.violations, describe(outcome)
    assert {*summary.faults} >= FAULTS, str(summary)
    assert {*summary.subjects} >= SUBJECTS, str(summary)


def _position_after_open_pages(self):
    """Return the position as if a page were settled when it is opened."""
    for page in self._pages:
        page.settle_first(len(page.reading.entries))
    self._advance()
    return _position(self)


_position = vars(frontier.Frontier)["position"].fget


async def _do_not_wait(self, clock):
    """Send a request at once."""


def _start_at_once(self, key, item):
    """Start an item though its lane is busy."""
    self._waiting.setdefault(key, None)
    self._ready.append((key, item))


def _forget_busy(self, key):
    self._waiting.pop(key, None)


@pytest.mark.parametrize(
    ("cls", "broken", "promise"),
    [
        (
            frontier.Frontier,
            {"position": property(_position_after_open_pages)},
            "no checkpoint claims what was not settled",
        ),
        (
            lanes.Lanes,
            {"add": _start_at_once, "done": _forget_busy},
            "one session per driver at a time",
        ),
        (
            rate_limit.Limiter,
            {"acquire": _do_not_wait, "before_sending": _do_not_wait},
            "the limit is kept",
        ),
    ],
    ids=["a page is settled when it is opened", "two sessions of a driver at once", "no limit"],
)
def test_a_library_that_breaks_a_promise_is_detected(monkeypatch, cls, broken, promise):
    for name, replacement in broken.items():
        monkeypatch.setattr(cls, name, replacement)
    for seed in range(DETECTION_SEEDS):
        try:
            violations = simulate(seed).violations
        except AssertionError:
            continue  # the library itself detected it
        if any(one.startswith(promise) for one in violations):
            return
    pytest.fail(f"{DETECTION_SEEDS} seeds did not detect it")


def test_a_seed_always_gives_the_same_run():
    script = (
        "import logging; logging.disable()\n"
        "from tests.simulate.run import simulate\n"
        "print([simulate(seed).digest for seed in range(30, 42)])"
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

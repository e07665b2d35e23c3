"""Decides which operations fail, and how."""

import asyncio
from random import Random

from tests.simulate.journal import Journal
from tests.simulate.plan import HARD, SOFT, Plan

_CONNECTION = frozenset({"refused connection", "slow connection"})
_SAVE = frozenset(
    {"save fails", "save fails after it was stored", "save is slow", "save hangs"},
)
_KINDS = {
    "connection": _CONNECTION,
    "request": frozenset({*SOFT, *HARD}) - _CONNECTION,
    "save": _SAVE,
    "load": frozenset({"load fails", "load is slow"}),
}
_HARD_SHARE = 0.2
"""Faults that need a new start are rarer, or hardly anything else would happen."""

_SHARES = {"empty page": 0.3}
"""Hours of empty pages would only mean that windows are polled at the rate limit."""


class FaultSchedule:
    """The faults of a plan."""

    def __init__(self, plan: Plan, journal: Journal) -> None:
        self._plan = plan
        self._journal = journal
        self._chance = Random(f"weather {plan.seed}")

    @property
    def over(self) -> bool:
        """Whether the last fault has ended."""
        return asyncio.get_running_loop().time() >= self._plan.faults_end

    def draw_fault(self, operation: str) -> str | None:
        """Return the fault of an operation that is about to start, or None."""
        now = asyncio.get_running_loop().time()
        for period in self._plan.fault_periods:
            if period.begin <= now < period.end and self._chance.random() < period.probability:
                kinds = [kind for kind in period.kinds if kind in _KINDS[operation]]
                kind = self._chance.choice(kinds) if kinds else None
                share = _SHARES.get(kind or "", _HARD_SHARE if kind in HARD else 1.0)
                if self._chance.random() > share:
                    kind = None
                if kind is not None:
                    self._journal.fault(kind)
                    return kind
        return None

"""What fails at this moment."""

import asyncio
from random import Random

from tests.simulate.journal import Journal
from tests.simulate.plan import HARD, SOFT, Plan

_CONNECTION = frozenset({"refused connection", "slow connection"})
_SAVE = frozenset(
    {"save fails", "save fails after it happened", "save is slow", "save hangs"},
)
_STAGES = {
    "connection": _CONNECTION,
    "request": frozenset({*SOFT, *HARD}) - _CONNECTION,
    "save": _SAVE,
    "load": frozenset({"load fails", "load is slow"}),
}
_HARD_SHARE = 0.2
"""Of what only a new beginning mends there is less, or nothing else would ever be met."""

_RARE = {"empty page": 0.3}
"""Hours of nothing else mean only that windows are polled as often as the limit lets them be."""


class Skies:
    """The plan's weather."""

    def __init__(self, plan: Plan, journal: Journal) -> None:
        self._plan = plan
        self._journal = journal
        self._chance = Random(f"weather {plan.seed}")

    @property
    def calm(self) -> bool:
        """Whether nothing fails any more."""
        return asyncio.get_running_loop().time() >= self._plan.calm

    def strike(self, stage: str) -> str | None:
        """Draw what goes wrong with something that is about to happen."""
        now = asyncio.get_running_loop().time()
        for weather in self._plan.weather:
            if weather.begin <= now < weather.end and self._chance.random() < weather.likely:
                suited = [kind for kind in weather.kinds if kind in _STAGES[stage]]
                kind = self._chance.choice(suited) if suited else None
                rare = _RARE.get(kind or "", _HARD_SHARE if kind in HARD else 1.0)
                if self._chance.random() > rare:
                    kind = None
                if kind is not None:
                    self._journal.fault(kind)
                    return kind
        return None

"""The results of a benchmark: figures with their spread, their rival and their target."""

from collections.abc import Sequence
from enum import StrEnum
from statistics import median
from typing import Self, TypeVar

import msgspec

T = TypeVar("T")


class Size(StrEnum):
    """How much is measured."""

    SHORT = "short"
    """A few seconds in all, to check that everything runs. Its times mean nothing."""
    USUAL = "usual"
    FULL = "full"
    """The sizes of the targets, where the usual ones are smaller: up to ten million sessions."""

    def pick(self, short: T, usual: T, full: T | None = None) -> T:
        """Return the value for this size; ``full`` defaults to ``usual``."""
        if self is Size.SHORT:
            return short
        return usual if self is Size.USUAL or full is None else full


class Spread(msgspec.Struct, frozen=True):
    """The results of several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of one value or more."""
        return cls(median(values), min(values), max(values))


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result."""

    what: str
    unit: str
    ours: Spread | None = None
    """None: it could not be measured; `note` gives the reason."""
    rival: str = ""
    """What it is compared with, if anything."""
    theirs: Spread | None = None
    ratio: Spread | None = None
    """Ours divided by theirs, in each round."""
    least: float | None = None
    """The target: a minimum for the ratio or, without a rival, for our own median."""
    most: float | None = None
    """The target, if it is a maximum."""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none, or nothing was measured."""
        judged = self.ratio or (None if self.rival else self.ours)
        if judged is None or (self.least is None and self.most is None):
            return None
        return (self.least is None or judged.median >= self.least) and (
            self.most is None or judged.median <= self.most
        )


def compare(
    what: str,
    unit: str,
    *,
    ours: Sequence[float],
    rival: str,
    theirs: Sequence[float],
    least: float | None = None,
    most: float | None = None,
    note: str = "",
) -> Figure:
    """Return a figure that compares our results with those of a rival, round by round."""
    return Figure(
        what=what,
        unit=unit,
        ours=Spread.of(ours),
        rival=rival,
        theirs=Spread.of(theirs),
        ratio=Spread.of([one / other for one, other in zip(ours, theirs, strict=True)]),
        least=least,
        most=most,
        note=note,
    )

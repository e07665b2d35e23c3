"""What a benchmark yields: figures, each with its spread, its rival and its target."""

from collections.abc import Sequence
from enum import StrEnum
from statistics import median
from typing import Self, TypeVar

import msgspec

T = TypeVar("T")


class Size(StrEnum):
    """How much is measured."""

    SHORT = "short"
    """A few seconds in all: to see that everything runs. Its times mean nothing."""
    USUAL = "usual"
    FULL = "full"
    """The sizes of the targets, where the usual ones are smaller: up to ten million sessions."""

    def pick(self, short: T, usual: T, full: T | None = None) -> T:
        """Return what belongs to this size; the full size is the usual one unless given."""
        if self is Size.SHORT:
            return short
        return usual if self is Size.USUAL or full is None else full


class Spread(msgspec.Struct, frozen=True):
    """What several rounds gave."""

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
    """None: it could not be measured, and `note` says why."""
    rival: str = ""
    """What it is compared with, if anything."""
    theirs: Spread | None = None
    ratio: Spread | None = None
    """Ours by theirs, round by round."""
    least: float | None = None
    """The target: the ratio, or without a rival our own median, shall not be less than this."""
    most: float | None = None
    """The same, for what shall not be more."""
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


def beside(
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
    """Compare what the same rounds gave for us and for a rival."""
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

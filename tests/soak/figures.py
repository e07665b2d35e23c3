"""Figures that must not grow over time: how they are sampled and checked."""

import asyncio
import gc
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def descriptors() -> int:
    """Return the number of open file descriptors."""
    return len(list(Path("/proc/self/fd").iterdir())) - 1


def objects() -> int:
    """Collect garbage, and return the number of objects that are left."""
    gc.collect()
    return len(gc.get_objects())


def tasks() -> int:
    """Return the number of tasks of the running loop."""
    return len(asyncio.all_tasks())


@dataclass
class Figure:
    """One figure over time."""

    name: str
    growth: float
    """The growth after warming up that is allowed."""
    samples: list[tuple[float, float]] = field(default_factory=list)

    @property
    def settled(self) -> list[tuple[float, float]]:
        """The samples without the first fifth, in which caches fill."""
        return self.samples[len(self.samples) // 5 :]

    @property
    def slope(self) -> float:
        """The growth per hour, by least squares."""
        count = len(self.settled)
        mean_x = sum(x for x, _ in self.settled) / count
        mean_y = sum(y for _, y in self.settled) / count
        spread = sum((x - mean_x) ** 2 for x, _ in self.settled)
        rise = sum((x - mean_x) * (y - mean_y) for x, y in self.settled)
        return 3600 * rise / spread if spread else 0.0

    @property
    def risen(self) -> float:
        """The average of the last quarter minus that of the first."""
        quarter = max(1, len(self.settled) // 4)
        first = sum(y for _, y in self.settled[:quarter]) / quarter
        last = sum(y for _, y in self.settled[-quarter:]) / quarter
        return last - first

    @property
    def flat(self) -> bool:
        """Whether the growth is within its limit."""
        return self.risen <= self.growth

    def __str__(self) -> str:
        (_, start), (_, end) = self.samples[0], self.samples[-1]
        verdict = "flat" if self.flat else "NOT FLAT"
        return (
            f"{self.name:<12} start {start:>10.1f}  end {end:>10.1f}  rise {self.risen:>+8.2f} "
            f"(at most {self.growth:g})  slope {self.slope:>+9.3f} per hour  {verdict}"
        )


@dataclass
class SoakResult:
    """The result of a soak test."""

    figures: Mapping[str, Figure]
    handled: int
    faults: int
    """Retried requests, failed saves and failed handlers."""

    @property
    def flat(self) -> bool:
        """Whether all figures are flat."""
        return all(figure.flat for figure in self.figures.values())

    def __str__(self) -> str:
        lines = [str(figure) for figure in self.figures.values()]
        return "\n".join([*lines, f"{self.handled} versions handled, {self.faults} failures"])

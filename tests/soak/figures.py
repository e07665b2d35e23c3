"""Figures that must stay flat: sampled, and judged by how they end and how steeply they rise."""

import asyncio
import gc
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


def resident() -> float:
    """Return the MiB of memory this process has in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def descriptors() -> int:
    """Return how many file descriptors are open."""
    return len(list(Path("/proc/self/fd").iterdir())) - 1


def objects() -> int:
    """Return how many Python objects the collector knows, once it has collected."""
    gc.collect()
    return len(gc.get_objects())


def tasks() -> int:
    """Return how many tasks the running loop has."""
    return len(asyncio.all_tasks())


@dataclass
class Figure:
    """One figure over time."""

    name: str
    growth: float
    """By how much it may end above where it was after warming up."""
    samples: list[tuple[float, float]] = field(default_factory=list)

    @property
    def settled(self) -> list[tuple[float, float]]:
        """The samples after the first fifth, in which caches fill."""
        return self.samples[len(self.samples) // 5 :]

    @property
    def slope(self) -> float:
        """By how much it rises in an hour, by least squares."""
        count = len(self.settled)
        mean_x = sum(x for x, _ in self.settled) / count
        mean_y = sum(y for _, y in self.settled) / count
        spread = sum((x - mean_x) ** 2 for x, _ in self.settled)
        rise = sum((x - mean_x) * (y - mean_y) for x, y in self.settled)
        return 3600 * rise / spread if spread else 0.0

    @property
    def risen(self) -> float:
        """How much more it was in the last quarter than in the first, on average."""
        quarter = max(1, len(self.settled) // 4)
        first = sum(y for _, y in self.settled[:quarter]) / quarter
        last = sum(y for _, y in self.settled[-quarter:]) / quarter
        return last - first

    @property
    def flat(self) -> bool:
        """Whether it stayed within its bound."""
        return self.risen <= self.growth

    def __str__(self) -> str:
        (_, start), (_, end) = self.samples[0], self.samples[-1]
        verdict = "flat" if self.flat else "NOT FLAT"
        return (
            f"{self.name:<12} start {start:>10.1f}  end {end:>10.1f}  rise {self.risen:>+8.2f} "
            f"(at most {self.growth:g})  slope {self.slope:>+9.3f} an hour  {verdict}"
        )


@dataclass
class Soaked:
    """What came of a soak."""

    figures: Mapping[str, Figure]
    handled: int
    faults: int
    """Requests that were tried again, saves and handlers that failed."""

    @property
    def flat(self) -> bool:
        """Whether all figures did."""
        return all(figure.flat for figure in self.figures.values())

    def __str__(self) -> str:
        lines = [str(figure) for figure in self.figures.values()]
        return "\n".join([*lines, f"{self.handled} versions handled, {self.faults} failures"])

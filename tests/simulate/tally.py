"""The sum of many runs, in words."""

from collections import Counter
from datetime import timedelta

from tests.simulate.run import Outcome


class Tally:
    """What all runs together came to."""

    def __init__(self) -> None:
        self.seeds = self.delivered = self.requests = self.crashes = self.violations = 0
        self.seconds = 0.0
        self.faults: Counter[str] = Counter()
        self.subjects: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        """Add one run."""
        self.seeds += 1
        self.seconds += outcome.seconds
        self.delivered += outcome.delivered
        self.requests += outcome.requests
        self.crashes += outcome.crashes
        self.violations += len(outcome.violations)
        self.faults.update(outcome.faults)
        self.subjects.update(outcome.subjects)

    def __str__(self) -> str:
        time = timedelta(seconds=round(self.seconds))
        return "\n".join(
            [
                f"seeds               {self.seeds}",
                f"simulated time      {time}",
                f"versions delivered  {self.delivered}",
                f"requests            {self.requests}",
                f"crashes             {self.crashes}",
                f"violations          {self.violations}",
                "faults",
                *(f"  {count:>8}  {kind}" for kind, count in sorted(self.faults.items())),
                "subjects",
                *(f"  {count:>8}  {name}" for name, count in sorted(self.subjects.items())),
            ]
        )


def told(outcome: Outcome) -> str:
    """Return what is known of a run, and how to have it again."""
    return "\n".join(
        [
            f"seed {outcome.seed}, digest {outcome.digest}",
            *(f"  BROKEN {violation}" for violation in outcome.violations),
            f"  {outcome.plan}",
            *(f"  {line}" for line in outcome.trace),
            f"  again: python -m tests.simulate --seed {outcome.seed}",
        ]
    )

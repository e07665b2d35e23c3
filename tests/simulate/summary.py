"""A summary of many runs, as text."""

from collections import Counter
from datetime import timedelta

from tests.simulate.run import Outcome


class Summary:
    """Totals over all runs."""

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


def describe(outcome: Outcome) -> str:
    """Return the outcome and the trace of a run, and the command that repeats it."""
    return "\n".join(
        [
            f"seed {outcome.seed}, digest {outcome.digest}",
            *(f"  VIOLATION {violation}" for violation in outcome.violations),
            f"  {outcome.plan}",
            *(f"  {line}" for line in outcome.trace),
            f"  repeat: python -m tests.simulate --seed {outcome.seed}",
        ]
    )

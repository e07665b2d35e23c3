"""What a deliberate break is."""

from dataclasses import dataclass

SIMULATION = "tests/simulate/test_simulation.py"


@dataclass(frozen=True)
class Mutation:
    """One mutation."""

    promise: str
    """The promise that it breaks."""
    module: str
    old: str
    new: str
    tests: tuple[str, ...]

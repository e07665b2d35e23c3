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
    """The files of tests that detect it."""
    test: str = ""
    """The test that does, where the file takes long."""

    @property
    def selected(self) -> tuple[str, ...]:
        """What is to be run, for pytest."""
        return tuple(f"{file}::{self.test}" for file in self.tests) if self.test else self.tests

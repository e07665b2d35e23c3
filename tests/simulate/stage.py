"""What all of a run's subjects share."""

from random import Random

from coachstream import Event
from coachstream.emulator import Emulator
from tests.simulate.journal import Journal
from tests.simulate.plan import Plan
from tests.simulate.skies import Skies
from tests.support.virtual_time import LeapingClock


class Stage:
    """The world, its weather, the client's clock, and who takes note."""

    def __init__(self, plan: Plan, emulator: Emulator, journal: Journal) -> None:
        self.plan = plan
        self.emulator = emulator
        self.journal = journal
        self.skies = Skies(plan, journal)
        self.clock = LeapingClock()
        self._chance = Random(f"observer {plan.seed}")

    def observe(self, event: Event) -> None:
        """Take note of an event, or fail as observers do."""
        self.journal.note("event", type(event).__name__)
        if self.plan.observer_fails and self._chance.random() < self.plan.observer_fails:
            self.journal.fault("observer raises")
            raise RuntimeError("the observer's own fault")

"""The objects that all subjects of a run share."""

from random import Random

from coachstream import Event
from coachstream.emulator import Emulator
from tests.simulate.fault_schedule import FaultSchedule
from tests.simulate.journal import Journal
from tests.simulate.plan import Plan
from tests.support.virtual_time import LeapingClock


class Context:
    """The emulator, the faults, the client's clock and the journal."""

    def __init__(self, plan: Plan, emulator: Emulator, journal: Journal) -> None:
        self.plan = plan
        self.emulator = emulator
        self.journal = journal
        self.faults = FaultSchedule(plan, journal)
        self.clock = LeapingClock()
        self._chance = Random(f"observer {plan.seed}")

    def observe(self, event: Event) -> None:
        """Record an event; fail at times, as observers do."""
        self.journal.note("event", type(event).__name__)
        if (
            self.plan.observer_failure_rate
            and self._chance.random() < self.plan.observer_failure_rate
        ):
            self.journal.fault("observer raises")
            raise RuntimeError("the observer's own fault")

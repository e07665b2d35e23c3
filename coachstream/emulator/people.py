"""The people of the world: drivers, coaches, and their assignments."""

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from . import content
from .content import DAY
from .fields import checked_id


@dataclass(slots=True)
class Assignment:
    """A driver's coach; None once the coach was removed. Times are milliseconds."""

    driver_id: str
    coach_id: str | None
    created: int
    updated: int


class People:
    """The drivers and coaches, drawn at the start, and the current assignments.

    Five in six drivers start with a coach. A driver has at most one coach, because the API
    identifies an assignment by its driver alone.
    """

    def __init__(self, random: Random, drivers: int, coaches: int, start: int) -> None:
        self.drivers = content.driver_ids(random, drivers)
        self.coaches = content.coach_ids(random, coaches)
        self.external_ids = {
            driver: content.external_ids(random, number)
            for number, driver in enumerate(self.drivers)
        }
        self._by_external_id = {
            f"{key}:{value}": driver
            for driver, ids in self.external_ids.items()
            for key, value in ids.items()
        }
        self._assignments: dict[str, Assignment] = {}
        self._order: list[str] = []
        for driver in self.drivers:
            if coaches and random.random() < 5 / 6:
                at = start - random.randrange(1, 300 * DAY)
                self.put(driver, random.choice(self.coaches), at)

    def put(self, driver_id: str, coach_id: str | None, at: int) -> Assignment:
        """Assign a coach or None to a driver; return the assignment."""
        checked_id("driver_id", driver_id)
        checked_id("coach_id", coach_id)
        assignment = self._assignments.get(driver_id)
        if assignment is None:
            assignment = self._assignments[driver_id] = Assignment(driver_id, coach_id, at, at)
            insort(self._order, driver_id)
        assignment.coach_id, assignment.updated = coach_id, at
        return assignment

    def assignment(self, driver_id: str) -> Assignment:
        """Return the assignment of a driver who has, or had, a coach."""
        return self._assignments[driver_id]

    def coach_of(self, driver_id: str) -> str | None:
        """Return the driver's coach, or None."""
        assignment = self._assignments.get(driver_id)
        return assignment.coach_id if assignment else None

    def after(self, driver_id: str) -> Iterator[Assignment]:
        """Yield the assignments with a coach, in the order of driver ids, after ``driver_id``."""
        for index in range(bisect_right(self._order, driver_id), len(self._order)):
            assignment = self._assignments[self._order[index]]
            if assignment.coach_id is not None:
                yield assignment

    def find(self, reference: str) -> str | None:
        """Return the driver with this Samsara id, or with this external id as ``key:value``."""
        if reference in self.external_ids or reference in self._assignments:
            return reference
        return self._by_external_id.get(reference)

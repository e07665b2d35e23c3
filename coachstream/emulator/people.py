"""The people of the world: drivers, coaches, and who coaches whom."""

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from . import content
from .content import DAY


@dataclass(slots=True)
class Assignment:
    """Who coaches a driver; no coach once that was taken away. Times are milliseconds."""

    driver_id: str
    coach_id: str | None
    created: int
    updated: int


class People:
    """The drivers and coaches drawn at birth, and the assignments as they are now.

    Five drivers in six have a coach at birth. There is at most one coach per driver, as the API
    knows an assignment by its driver alone.
    """

    def __init__(self, random: Random, drivers: int, coaches: int, begun: int) -> None:
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
                at = begun - random.randrange(1, 300 * DAY)
                self.put(driver, random.choice(self.coaches), at)

    def put(self, driver_id: str, coach_id: str | None, at: int) -> Assignment:
        """Give a driver a coach, or none; returns the assignment as it then is."""
        known = self._assignments.get(driver_id)
        if known is None:
            known = self._assignments[driver_id] = Assignment(driver_id, coach_id, at, at)
            insort(self._order, driver_id)
        known.coach_id, known.updated = coach_id, at
        return known

    def assignment(self, driver_id: str) -> Assignment:
        """Return the assignment of a driver who has, or had, a coach."""
        return self._assignments[driver_id]

    def coach_of(self, driver_id: str) -> str | None:
        """Return the coach a driver has."""
        known = self._assignments.get(driver_id)
        return known.coach_id if known else None

    def after(self, driver_id: str) -> Iterator[Assignment]:
        """Yield the assignments that have a coach, in the order of their drivers' ids."""
        for place in range(bisect_right(self._order, driver_id), len(self._order)):
            assignment = self._assignments[self._order[place]]
            if assignment.coach_id is not None:
                yield assignment

    def find(self, reference: str) -> str | None:
        """Return the driver known by a Samsara id, or by an external id as ``key:value``."""
        if reference in self.external_ids or reference in self._assignments:
            return reference
        return self._by_external_id.get(reference)

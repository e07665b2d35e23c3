"""Checks that the promises to one subject are kept."""

from collections.abc import Iterator
from datetime import timedelta

from coachstream import CoachingSession, MalformedSessionError, Position
from coachstream.emulator import Emulator
from coachstream.emulator.clock import to_ms
from coachstream.emulator.history import Version
from coachstream.feed.reader import OVERLAP
from coachstream.feed.recent import RECENT
from coachstream.wire import pages
from coachstream.wire.query import Query
from tests.guarantees.histories import Recorder, before
from tests.simulate.journal import Journal, normalised
from tests.simulate.plan import Plan, SubjectPlan
from tests.support.versions import Identity, identity, identity_of, settled_in

LATE = 14 * 60_000
"""Milliseconds by which a version may become visible late and must not be lost all the same."""


class Checker(Recorder):
    """A recorder that knows the query of its subject."""

    def __init__(
        self, plan: Plan, subject: SubjectPlan, emulator: Emulator, journal: Journal
    ) -> None:
        super().__init__(emulator)
        self._subject = subject
        self._plan = plan
        self._journal = journal
        self.world_start = emulator.world.now
        self.end = self.world_start if subject.bounded else None
        self.start = self.world_start - timedelta(days=subject.days_back)
        drivers = emulator.world.drivers[: subject.drivers] if subject.drivers else None
        self.drivers = None if drivers is None else tuple(drivers)
        self.malformed: set[Identity] = set()
        """Versions that were settled though they could not be read."""
        self.settled_before: set[Identity] = set()
        """Versions that were settled when the current attempt started."""
        self.stopped = False

    def expected_versions(self) -> Iterator[Version]:
        """Yield the versions that the subject's query can still return."""
        first, last = to_ms(self.start), None if self.end is None else to_ms(self.end)
        every = self.emulator.profile.versions == "every"
        for version in self.emulator.world.record.every:
            if (
                version.updated >= first
                and (last is None or max(version.updated, version.stamp) < last)
                and version.stamp - version.updated <= LATE
                and (every or version.superseded is None)
                and (self.drivers is None or version.session.driver_id in self.drivers)
            ):
                yield version

    def claimed(self, position: Position) -> set[Identity]:
        """Return the versions that a position claims are settled."""
        return settled_in(position, self.emulator.world.record.sessions) | {
            identity_of(version) for version in filter(before(position), self.expected_versions())
        }

    @property
    def missing(self) -> set[Identity]:
        """Expected versions that were not handled."""
        return {identity_of(version) for version in self.expected_versions()} - self.handled

    def start_attempt(self, position: Position | None, attempt: int) -> None:
        """Record a new attempt that starts at ``position``."""
        self.attempt = attempt
        self.settled_before = set() if position is None else self.claimed(position)
        self._journal.note("started", self._subject.name, attempt)

    def handling_started(self, driver: str, one: Identity) -> None:
        """Record that the handling of a version starts."""
        started = self.started[self.attempt, driver]
        repeated = started and started[-1] == one
        if not repeated and one not in self.malformed:
            started.append(one)

    def handling_finished(self, one: Identity) -> None:
        """Record that a version has been handled."""
        self._journal.note("handled", *one[:2])
        self._journal.delivered += 1
        self.handled.add(one)
        # A version settled without a key may be delivered again after its cursor has expired.
        if one in self.settled_before - self.malformed:
            self._journal.violation("a settled session is not delivered again", one)

    def settled_malformed(self, error: MalformedSessionError) -> None:
        """Record a session that was settled though it could not be read."""
        readable = pages.session(error.raw)
        if isinstance(readable, CoachingSession):  # given up by its handler
            candidates = {identity(readable)}
        else:
            keys = self._journal.malformed.get(normalised(error.raw), set())
            every = self.emulator.world.record.every
            candidates = {identity_of(one) for one in every if one.key in keys}
        if not candidates:
            self._journal.violation("only malformed sessions are reported as malformed", error)
            return
        # Two versions may differ only in the malformed field.
        one = min(candidates - self.handled or candidates)
        self.malformed.add(one)
        self.handled.add(one)

    def saved(self, position: Position) -> None:
        """Check a position that is being saved."""
        if false_claims := self.claimed(position) - self.handled:
            self._journal.violation(
                "no checkpoint claims what was not settled", sorted(false_claims)
            )
        open_at_most = self._plan.page_size[1] + (
            self._subject.max_unsettled if self._subject.interface == "consume" else 0
        )
        most = open_at_most + 2 * self._plan.page_size[1]
        beyond = len(position.settled) - most
        if (beyond > 0 and beyond > self._read_again(position)) or len(position.recent) > RECENT:
            sizes = len(position.settled), most, len(position.recent)
            self._journal.violation("a checkpoint stays small", sizes)

    def _read_again(self, position: Position) -> int:
        """Return how many versions following reads again: the overlap, or all without a cursor."""
        overlap = Query.from_wire(position.query).start - OVERLAP
        return sum(1 for _ in self.emulator.world.record.every.after(to_ms(overlap) - 1))

    def check_order(self) -> None:
        """Check the order in which handling started."""
        if self.malformed and self.emulator.profile.caught_up_cursor == "empty":
            # Here the same page is served repeatedly. A version that was malformed in one response
            # and valid in the next is new, and those after it on the page may be delivered again.
            return
        if self._subject.readers > 1 and self._plan.times not in {"unique", "seconds"}:
            return  # windows are read in the order of times, which is not the feed's here
        for where in self.out_of_order:
            details = where, self.started[where]
            self._journal.violation("a driver's sessions keep their order", details)

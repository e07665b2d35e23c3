"""Who sees to it that one subject's promises are kept."""

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime, timedelta

from coachstream import MalformedSessionError, Position
from coachstream.emulator import Emulator
from coachstream.emulator.clock import to_ms
from coachstream.emulator.cursors import SEAM
from coachstream.emulator.history import Version
from coachstream.feed.reader import OVERLAP
from coachstream.feed.reading import RECENT
from coachstream.wire.query import Query
from tests.guarantees.histories import Key, Witness
from tests.simulate.journal import Journal, spelled_anew
from tests.simulate.plan import Plan, SubjectPlan


class Watch(Witness):
    """A witness who knows what its subject asked for, and is strict about it."""

    def __init__(
        self, plan: Plan, subject: SubjectPlan, emulator: Emulator, journal: Journal
    ) -> None:
        super().__init__(emulator)
        self._subject = subject
        self._plan = plan
        self._journal = journal
        self.birth = emulator.world.now
        self.end = self.birth if subject.bounded else None
        self.start = self.birth - timedelta(days=subject.days_back)
        drivers = emulator.world.drivers[: subject.drivers] if subject.drivers else None
        self.drivers = None if drivers is None else tuple(drivers)
        self.malformed: set[Key] = set()
        """Versions that were settled unread."""
        self.settled_before: set[Key] = set()
        """What the present attempt began with as settled."""
        self.over = False

    def wanted(self) -> Iterator[Version]:
        """Yield the versions that the subject's query can still be told."""
        first, last = to_ms(self.start), None if self.end is None else to_ms(self.end)
        every = self.emulator.profile.versions == "every"
        for version in self.emulator.world.record.every:
            if (
                version.stamp >= first
                and (last is None or version.stamp < last)
                and (every or version.superseded is None)
                and (self.drivers is None or version.session.driver_id in self.drivers)
            ):
                yield version

    def claimed(self, position: Position) -> set[Key]:
        """Return the versions that a position says are settled."""
        settled = {_spelled(one) for one in position.settled}
        begin = to_ms(Query.from_wire(position.query).start)
        place = begin - 1
        if position.cursor is not None:
            place = max(place, json.loads(b64decode(position.cursor.partition(SEAM)[2]))[0])
        return settled | {version.key for version in self.wanted() if version.stamp <= place}

    @property
    def missing(self) -> set[Key]:
        """Versions that nobody has handled."""
        return {version.key for version in self.wanted()} - self.handled

    def begin(self, position: Position | None, attempt: int) -> None:
        """Take note of another attempt that goes on at ``position``."""
        self.attempt = attempt
        self.settled_before = set() if position is None else self.claimed(position)
        self._journal.note("begun", self._subject.name, attempt)

    def start_of(self, driver: str, one: Key) -> None:
        """Take note that a version is being handled."""
        begun = self.begun[self.attempt, driver]
        again = begun and begun[-1] == one
        if not again and one not in self.malformed:
            begun.append(one)

    def end_of(self, one: Key) -> None:
        """Take note that a version has been handled."""
        self._journal.note("handled", *one)
        self._journal.delivered += 1
        self.handled.add(one)
        # What was settled without its key can't be told apart when its cursor has died.
        if one in self.settled_before - self.malformed:
            self._journal.violate("what is settled does not come again", one)

    def unread(self, error: MalformedSessionError) -> None:
        """Take note of a session that was settled though it could not be read."""
        if error.session_id is not None and error.updated_at_time is not None:
            candidates = {_spelled((error.session_id, error.updated_at_time))}
        else:
            candidates = self._journal.broken.get(spelled_anew(error.raw), set())
        if not candidates:
            self._journal.violate("nothing is taken for malformed that is not", error)
            return
        # Two versions may differ in nothing but what was broken.
        one = min(candidates - self.handled or candidates)
        self.malformed.add(one)
        self.handled.add(one)

    def saved(self, position: Position) -> None:
        """Judge a position that is being saved."""
        if lies := self.claimed(position) - self.handled:
            self._journal.violate("no place claims what was not settled", sorted(lies))
        most = self.most_settled(position)
        if len(position.settled) > most or len(position.recent) > RECENT:
            sizes = len(position.settled), most, len(position.recent)
            self._journal.violate("a place stays small", sizes)

    def most_settled(self, position: Position) -> int:
        """Return how many keys beyond its cursor a position may hold."""
        open_at_most = self._plan.page_size[1] + (
            self._subject.max_unsettled if self._subject.way == "consume" else 0
        )
        # What following meets again: the overlap, and what lies beyond a cursor that is empty.
        overlap = Query.from_wire(position.query).start - OVERLAP
        late = sum(version.stamp >= to_ms(overlap) for version in self.emulator.world.record.every)
        return open_at_most + 2 * self._plan.page_size[1] + late

    def judge_order(self) -> None:
        """Judge the order of all that was begun."""
        if self.malformed and self.emulator.profile.caught_up_cursor == "empty":
            # A page is served again and again there; what was broken in one answer and whole in
            # the next is new, and what comes after it on that page may come again with it.
            return
        for where in self.disordered:
            told = where, self.begun[where]
            self._journal.violate("a driver's sessions keep their order", told)


def _spelled(one: tuple[str, datetime]) -> Key:
    name, moment = one
    return name, moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"

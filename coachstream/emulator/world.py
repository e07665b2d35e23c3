"""An emulated company: no I/O, seeded, and independent of the steps in which time advances."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from . import content, lifecycle
from .clock import MILLISECOND, from_ms, stamp_text, to_ms
from .content import Json
from .fields import checked_fields, checked_id, first_state
from .history import Record, Session, State
from .people import People
from .render import session_json
from .versions import Times, Versions

DEFAULT_START = datetime(2026, 3, 2, 8, tzinfo=UTC)
"""The default start time of a world; fixed, so that runs repeat exactly."""

ALL_EVENTS = 1_000_000
"""More than any session has."""


class World:
    """Drivers, coaches, their assignments, and coaching sessions that change over time.

    Args:
        seed: Worlds with the same seed and arguments are equal in everything.
        drivers: The number of drivers.
        coaches: The number of coaches.
        sessions: The number of sessions that have begun before the start.
        now: The start time, timezone-aware. To start in the present, pass the current time.
        history: The period before the start in which those sessions begin and change.
        changes_per_hour: Random changes per hour of the world's time, after the start; 0 leaves
            all changes to the methods below.
        times: How each version's updatedAtTime relates to when it becomes visible. By default it
            is that moment, at least a millisecond later than all before; see `Times`.
        changing_behaviors: Whether the behaviors of a session change from version to version.

    The methods that change something do so at ``now`` and accept a session in any state.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        drivers: int = 200,
        coaches: int = 12,
        sessions: int = 2000,
        now: datetime | None = None,
        history: timedelta = timedelta(days=90),
        changes_per_hour: float = 60.0,
        times: Times = "unique",
        changing_behaviors: bool = False,
    ) -> None:
        if not drivers and (sessions or changes_per_hour):
            raise ValueError("sessions need drivers")
        self.seed = seed
        self._random = Random(seed)
        self._manual_random = Random(~seed)  # a test's changes must not alter the random ones
        self._now = to_ms(now or DEFAULT_START)
        self._clock: Callable[[], datetime] | None = None
        self._upcoming: list[Session] = []
        self.record = Record()
        self._versions = Versions(
            self.record, seed, times=times, changing_behaviors=changing_behaviors
        )
        begin = self._now - history // MILLISECOND
        self.people = People(self._random, drivers, coaches, begin)
        self._add_history(sessions, begin)
        self._per_hour = changes_per_hour
        self._next = self._draw_next(self._now)

    # Time

    @property
    def now(self) -> datetime:
        """The world's time: that of the clock it follows, or of the last ``advance``."""
        return self._clock() if self._clock else from_ms(self._now)

    def follow(self, clock: Callable[[], datetime] | None) -> None:
        """Follow a clock from now on; None stops the time at the clock's last value."""
        self.advance(self.now)
        self._clock = clock

    def advance(self, now: datetime) -> None:
        """Apply all random changes due until ``now``; an earlier time has no effect."""
        target = to_ms(now)
        while self._next is not None and self._next <= target:
            self._change_at_random(self._next)
            self._next = self._draw_next(self._next)
        self._now = max(self._now, target)

    # Changes by a test

    def add_session(
        self,
        driver_id: str | None = None,
        *,
        updated_at: datetime | None = None,
        extra: Mapping[str, object] | None = None,
        **fields: object,
    ) -> str:
        """Add a session and return its id.

        Args:
            driver_id: The session's driver; by default a random one.
            updated_at: Its updatedAtTime, if that is not to be the moment of the change.
            extra: Fields that are not checked: such as the API may add, or malformed ones.
            fields: Fields of the session, by the API's names (``sessionNote="…"``,
                ``dueAtTime=…``, ``behaviors=[…]``); None leaves a field out.

        Raises:
            TypeError: a field is unknown, or a value has the wrong type.
        """
        checked_id("driver_id", driver_id)
        checked = checked_fields(fields)
        at = self._advance_to_now()
        driver = driver_id or self._manual_random.choice(self.people.drivers)
        return self._begin(
            self._manual_random, driver, at, checked, updated_at=updated_at, extra=extra
        ).id

    def complete(self, session_id: str) -> None:
        """Complete a session, by its assigned coach or else by a random one."""
        at = self._advance_to_now()
        self._complete(self._manual_random, self.record.sessions[session_id], at)

    def reassign(self, session_id: str, coach_id: str | None = None) -> None:
        """Assign a session to a coach, by default a random one."""
        at, session = self._advance_to_now(), self.record.sessions[session_id]
        coach = coach_id or self._random_coach(self._manual_random)
        self._change(session, at, session.latest.state._replace(assigned_coach=coach))

    def annotate(self, session_id: str, note: str, *, updated_at: datetime | None = None) -> None:
        """Replace the session's note; ``updated_at`` as for `add_session`."""
        at, session = self._advance_to_now(), self.record.sessions[session_id]
        self._change(session, at, session.latest.state._replace(note=note), updated_at)

    def annotate_all(self, note: str) -> None:
        """Replace the notes of all sessions at one stroke, with one updatedAtTime."""
        moment = self._versions.shared_time(self.record.stamp(self._advance_to_now()))
        for session_id in list(self.record.sessions):
            self.annotate(session_id, note, updated_at=moment)

    def delete(self, session_id: str) -> None:
        """Delete a session; the feed then holds a last version with the status "deleted"."""
        at, session = self._advance_to_now(), self.record.sessions[session_id]
        self._change(session, at, session.latest.state._replace(status="deleted"))

    def assign(self, driver_id: str, coach_id: str) -> None:
        """Assign a coach to a driver."""
        self.people.put(driver_id, coach_id, self.record.stamp(self._advance_to_now()))

    def unassign(self, driver_id: str) -> None:
        """Remove a driver's coach."""
        self.people.put(driver_id, None, self.record.stamp(self._advance_to_now()))

    # What can be read

    @property
    def drivers(self) -> Sequence[str]:
        """The ids of the drivers."""
        return self.people.drivers

    @property
    def coaches(self) -> Sequence[str]:
        """The ids of the coaches."""
        return self.people.coaches

    @property
    def external_ids(self) -> Mapping[str, Mapping[str, str]]:
        """The external ids of each driver, by the driver's id."""
        return self.people.external_ids

    @property
    def assignments(self) -> Mapping[str, str]:
        """The coach of each driver who has one, by the driver's id."""
        return {a.driver_id: a.coach_id for a in self.people.after("") if a.coach_id is not None}

    def sessions(self) -> list[Json]:
        """Return the current version of each session as JSON, in feed order.

        It is complete: with the driver's external ids, and all events beyond those served.
        """
        return [
            session_json(
                v, self.people.external_ids.get(v.session.driver_id, {}), events=ALL_EVENTS
            )
            for v in self.record.live()
        ]

    def versions(self) -> list[tuple[str, str]]:
        """Return the (id, updatedAtTime) of every version, also superseded ones, in feed order."""
        return [version.key for version in self.record.every]

    def latest(self) -> set[tuple[str, str]]:
        """Return the (id, updatedAtTime) of each session's current version."""
        return {session.latest.key for session in self.record.sessions.values()}

    # Random changes

    def _add_history(self, sessions: int, begin: int) -> None:
        random, numbered = self._random, dict[int, Session]()
        for at, number, change in sorted(
            lifecycle.past_changes(random, sessions, begin, self._now)
        ):
            if change == "begin":
                driver = random.choice(self.people.drivers)
                numbered[number] = self._begin(random, driver, at, {})
            else:
                self._apply(change, numbered[number], at)

    def _draw_next(self, at: int) -> int | None:
        return at + lifecycle.pause(self._random, self._per_hour) if self._per_hour else None

    def _change_at_random(self, at: int) -> None:
        random = self._random
        change = lifecycle.next_change(random)
        if change == "coach":
            driver = random.choice(self.people.drivers)
            coach = self._random_coach(random) if random.random() < 0.8 else None
            self.people.put(driver, coach, self.record.stamp(at))
            return
        session = None if change == "begin" else self._random_upcoming(random)
        if session is None:
            self._begin(random, random.choice(self.people.drivers), at, {})
        else:
            self._apply(change, session, at)

    def _apply(self, change: lifecycle.Change, session: Session, at: int) -> None:
        random, before = self._random, session.latest.state
        match change:
            case "complete":
                self._complete(random, session, at)
            case "reassign":
                coach = self._random_coach(random)
                self._change(session, at, before._replace(assigned_coach=coach))
            case "annotate":
                self._change(session, at, before._replace(note=content.note(random)))
            case "delete":
                self._change(session, at, before._replace(status="deleted"))
            case "begin" | "coach":
                raise AssertionError("not a change of a session")

    def _advance_to_now(self) -> int:
        self.advance(self.now)
        return self._now

    def _begin(
        self,
        random: Random,
        driver_id: str,
        at: int,
        fields: dict[str, object],
        *,
        updated_at: datetime | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> Session:
        overrides = dict(fields)
        session = Session(
            id=str(overrides.pop("id", content.uuid(random))),
            seed=random.getrandbits(64),
            driver_id=driver_id,
            created=at,
            due=at + lifecycle.DUE_AFTER,
            coaching_type=random.choice(content.COACHING_TYPES),
        )
        state = first_state(overrides, coach=self.people.coach_of(driver_id))
        session.overrides = {**overrides, **(extra or {})}
        self.record.begin(self._versions.new(session, at, state, updated_at))
        self._upcoming.append(session)
        return session

    def _change(
        self, session: Session, at: int, state: State, updated_at: datetime | None = None
    ) -> None:
        self.record.change(self._versions.new(session, at, state, updated_at))

    def _complete(self, random: Random, session: Session, at: int) -> None:
        # Per the OpenAPI description, the assigned coach is returned only while a session is
        # incomplete, so it is removed when the completing coach is set.
        before = session.latest.state
        coach = before.assigned_coach or self._random_coach(random)
        state = State("completed", None, coach, stamp_text(at), before.note)
        self._change(session, at, state)

    def _random_coach(self, random: Random) -> str | None:
        return random.choice(self.people.coaches) if self.people.coaches else None

    def _random_upcoming(self, random: Random) -> Session | None:
        # A session that is no longer upcoming is removed when it is drawn.
        while self._upcoming:
            index = random.randrange(len(self._upcoming))
            session = self._upcoming[index]
            if session.latest.state.status == "upcoming":
                return session
            self._upcoming[index] = self._upcoming[-1]
            self._upcoming.pop()
        return None

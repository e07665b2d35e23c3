"""A company under coaching: pure, seeded, and the same however its time is cut up."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from . import content, lifecycle
from .clock import MILLISECOND, from_ms, stamp_text, to_ms
from .content import Json
from .history import Record, Session, State, Version
from .people import People
from .render import session_json

BIRTHDAY = datetime(2026, 3, 2, 8, tzinfo=UTC)
"""The time in a world that was not told it; fixed, so that runs repeat exactly."""

ALL_EVENTS = 1_000_000
"""More than any session has."""


class World:
    """Drivers, coaches, their assignments, and coaching sessions whose lives go on.

    Args:
        seed: Two worlds of one seed are alike, in everything.
        drivers: How many drivers there are.
        coaches: How many coaches.
        sessions: How many sessions have begun before the world is born.
        now: The world's time at birth, aware. For the present, pass the present.
        history: The past over which the lives of those sessions are spread.
        changes_per_hour: How much happens of itself after birth, in the world's hours; 0 leaves
            everything to the methods below.

    Every change gives its session an updatedAtTime later than any given before, by a millisecond
    if no more time has passed. The methods that change something do so at ``now``, in any state
    of the session, without objection.
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
    ) -> None:
        if not drivers and (sessions or changes_per_hour):
            raise ValueError("sessions need drivers")
        self.seed = seed
        self._random = Random(seed)  # for what happens of itself
        self._hands = Random(~seed)  # apart, so that a test's acts leave the rest alone
        self._now = to_ms(now or BIRTHDAY)
        self._clock: Callable[[], datetime] | None = None
        self._upcoming: list[Session] = []
        self.record = Record()
        begun = self._now - history // MILLISECOND
        self.people = People(self._random, drivers, coaches, begun)
        self._born(sessions, begun)
        self._per_hour = changes_per_hour
        self._next = self._soon(self._now)

    # Time

    @property
    def now(self) -> datetime:
        """The world's time: that of the clock it follows, or what ``advance`` was last told."""
        return self._clock() if self._clock else from_ms(self._now)

    def follow(self, clock: Callable[[], datetime] | None) -> None:
        """Live by a clock from now on, or for None stand still at what it last said."""
        self.advance(self.now)
        self._clock = clock

    def advance(self, now: datetime) -> None:
        """Let everything happen that happens of itself until ``now``; earlier is harmless."""
        target = to_ms(now)
        while self._next is not None and self._next <= target:
            self._live_on(self._next)
            self._next = self._soon(self._next)
        self._now = max(self._now, target)

    # What a test can do by hand

    def add_session(self, driver_id: str | None = None, **fields: object) -> str:
        """Begin a session and return its id.

        Args:
            driver_id: Whose session it is; by default some driver's.
            fields: What the session shall hold, by the API's own names (``sessionNote="…"``,
                ``behaviors=[…]``); a field given as None is left out.
        """
        if "updatedAtTime" in fields:
            raise TypeError("the world stamps updatedAtTime itself")
        at = self._act()
        driver = driver_id or self._hands.choice(self.people.drivers)
        return self._begin(self._hands, driver, at, fields).id

    def complete(self, session_id: str) -> None:
        """Complete a session, by its assigned coach or else by some coach."""
        at = self._act()
        self._complete(self._hands, self.record.sessions[session_id], at)

    def reassign(self, session_id: str, coach_id: str | None = None) -> None:
        """Assign a session to a coach, by default to some coach."""
        at, session = self._act(), self.record.sessions[session_id]
        coach = coach_id or self._some_coach(self._hands)
        self._change(session, at, session.latest.state._replace(assigned_coach=coach))

    def annotate(self, session_id: str, note: str) -> None:
        """Write the session's note anew."""
        at, session = self._act(), self.record.sessions[session_id]
        self._change(session, at, session.latest.state._replace(note=note))

    def delete(self, session_id: str) -> None:
        """Delete a session, which the feed tells by a last record whose status is "deleted"."""
        at, session = self._act(), self.record.sessions[session_id]
        self._change(session, at, session.latest.state._replace(status="deleted"))

    def assign(self, driver_id: str, coach_id: str) -> None:
        """Give a driver a coach."""
        self.people.put(driver_id, coach_id, self.record.stamp(self._act()))

    def unassign(self, driver_id: str) -> None:
        """Take a driver's coach away."""
        self.people.put(driver_id, None, self.record.stamp(self._act()))

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
        """The coach of each driver who has one."""
        return {a.driver_id: a.coach_id for a in self.people.after("") if a.coach_id is not None}

    def sessions(self) -> list[Json]:
        """Return each session as it is now, in the order of the feed.

        They hold everything: the driver's external ids, and the events beyond those served.
        """
        return [
            session_json(
                v, self.people.external_ids.get(v.session.driver_id, {}), events=ALL_EVENTS
            )
            for v in self.record.live()
        ]

    def versions(self) -> list[tuple[str, str]]:
        """Return the (id, updatedAtTime) of every version there ever was, in feed order."""
        return [version.key for version in self.record.every]

    def latest(self) -> set[tuple[str, str]]:
        """Return the (id, updatedAtTime) of each session as it is now."""
        return {session.latest.key for session in self.record.sessions.values()}

    # How it comes about

    def _born(self, sessions: int, begun: int) -> None:
        random, numbered = self._random, dict[int, Session]()
        for at, number, act in sorted(lifecycle.past_lives(random, sessions, begun, self._now)):
            if act == "begin":
                driver = random.choice(self.people.drivers)
                numbered[number] = self._begin(random, driver, at, {})
            else:
                self._happen(act, numbered[number], at)

    def _soon(self, at: int) -> int | None:
        return at + lifecycle.pause(self._random, self._per_hour) if self._per_hour else None

    def _live_on(self, at: int) -> None:
        random = self._random
        act = lifecycle.next_act(random)
        if act == "coach":
            driver = random.choice(self.people.drivers)
            coach = self._some_coach(random) if random.random() < 0.8 else None
            self.people.put(driver, coach, self.record.stamp(at))
            return
        session = None if act == "begin" else self._some_upcoming(random)
        if session is None:
            self._begin(random, random.choice(self.people.drivers), at, {})
        else:
            self._happen(act, session, at)

    def _happen(self, act: lifecycle.Act, session: Session, at: int) -> None:
        random, before = self._random, session.latest.state
        match act:
            case "complete":
                self._complete(random, session, at)
            case "reassign":
                coach = self._some_coach(random)
                self._change(session, at, before._replace(assigned_coach=coach))
            case "annotate":
                self._change(session, at, before._replace(note=content.note(random)))
            case "delete":
                self._change(session, at, before._replace(status="deleted"))
            case "begin" | "coach":
                raise AssertionError("not an act upon a session")

    def _act(self) -> int:
        self.advance(self.now)
        return self._now

    def _begin(self, random: Random, driver_id: str, at: int, fields: dict[str, object]) -> Session:
        given = dict(fields)
        session = Session(
            id=str(given.pop("id", content.uuid(random))),
            seed=random.getrandbits(64),
            driver_id=driver_id,
            created=at,
            due=at + lifecycle.DUE_AFTER,
            coaching_type=random.choice(content.COACHING_TYPES),
        )
        state = State(
            status=str(given.pop("sessionStatus", "upcoming")),
            assigned_coach=_text(given.pop("assignedCoachId", self.people.coach_of(driver_id))),
            completed_coach=_text(given.pop("completedCoachId", None)),
            completed_at=_text(given.pop("completedAtTime", None)),
            note=_text(given.pop("sessionNote", None)),
        )
        session.given = given
        self.record.begin(Version(session, self.record.stamp(at), state))
        self._upcoming.append(session)
        return session

    def _change(self, session: Session, at: int, state: State) -> None:
        self.record.change(Version(session, self.record.stamp(at), state))

    def _complete(self, random: Random, session: Session, at: int) -> None:
        # The assigned coach is returned while a session is incomplete, in the words of the OpenAPI
        # description, so it goes when the completing coach comes.
        before = session.latest.state
        coach = before.assigned_coach or self._some_coach(random)
        state = State("completed", None, coach, stamp_text(at), before.note)
        self._change(session, at, state)

    def _some_coach(self, random: Random) -> str | None:
        return random.choice(self.people.coaches) if self.people.coaches else None

    def _some_upcoming(self, random: Random) -> Session | None:
        # What is no longer upcoming is weeded out when it is come upon.
        while self._upcoming:
            place = random.randrange(len(self._upcoming))
            session = self._upcoming[place]
            if session.latest.state.status == "upcoming":
                return session
            self._upcoming[place] = self._upcoming[-1]
            self._upcoming.pop()
        return None


def _text(value: object) -> str | None:
    return None if value is None else str(value)

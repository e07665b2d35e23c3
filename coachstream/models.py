"""The API's objects, with its field names in snake case.

Shapes and meanings follow Samsara's OpenAPI description of the coaching endpoints (2025-10-23) and
the official SDK's later additions. The vendor adds fields and values without a new version
(https://developers.samsara.com/docs/versioning), so unknown fields are ignored, and enumerations
are plain ``str`` (`enumerations`).

Some fields that the API calls required are optional here, because a missing one must not stop a
feed: ``due_at_time``, ``behaviors``, ``last_coached_time`` (a behaviour that was never coached can
hardly have one), and the times of an assignment.
"""

from datetime import datetime, timedelta
from enum import Enum
from hashlib import blake2b
from typing import Annotated, Any

import msgspec

from .brief import brief_repr
from .enumerations import BehaviorType as BehaviorType  # noqa: PLC0414  # public here
from .enumerations import CoachingType as CoachingType  # noqa: PLC0414  # likewise
from .enumerations import EventSourceType as EventSourceType  # noqa: PLC0414  # likewise
from .enumerations import SessionStatus as SessionStatus  # noqa: PLC0414  # likewise
from .text import printable

_LONGEST_SHOWN = 80
"""Characters of a query or cursor in a repr."""

Time = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware datetime. Pages with times in another form are read leniently (`wire.lenient`): one
without an offset is in UTC."""


class Plain(msgspec.Struct, frozen=True):
    """Base of what can be had as a dict, such as for a row of a table or a response in JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by their Python names, with plain values.

        What is nested is a dict or a list, and an enumeration a string; times stay datetimes.
        ``raw`` is left out.
        """
        fields = msgspec.structs.asdict(self)
        return {name: _plain(value) for name, value in fields.items() if name != "raw"}


def _plain(value: object) -> object:
    if isinstance(value, Plain):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return dict(value) if isinstance(value, dict) else value


class Model(Plain, frozen=True, rename="camel", gc=False):
    """Base of the API's objects: snake case in Python, camel case in JSON."""


class Driver(Model, frozen=True, kw_only=True):
    """The driver who is coached.

    Attributes:
        driver_id: Samsara's id of the driver.
        external_ids: Your own ids of the driver, by key; only with ``include_external_ids=True``.
    """

    driver_id: str
    external_ids: dict[str, str] | None = None


class EventLinkage(Model, frozen=True, kw_only=True):
    """The source of a coachable event (in the official SDK since 2026-08-10).

    Attributes:
        source_type: One of `EventSourceType`, or a later value.
    """

    source_id: str | None = None
    source_type: str | None = None


class CoachableEvent(Model, frozen=True, kw_only=True):
    """One event in which a behaviour was seen.

    Attributes:
        id: ``vehicleId - eventMS`` for safety events, ``driverId,date`` for a day of
            hours-of-service violations, a UUID for speeding and idling: it may contain spaces and
            commas.
    """

    id: str
    linkage: EventLinkage | None = None


class Behavior(Model, frozen=True, kw_only=True):
    """One behaviour that a session coaches. Its repr shows its id and time alone.

    Attributes:
        coachable_behavior_type: One of `BehaviorType`, or a later value.
        last_coached_time: When the same behaviour was last coached.
        coachable_events: Only with ``include_coachable_events=True``. The API returns at most 100
            per session, and its response does not show whether it left some out.
    """

    id: str
    coachable_behavior_type: str
    updated_at_time: Time
    last_coached_time: Time | None = None
    note: str | None = None
    coachable_events: tuple[CoachableEvent, ...] | None = None

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id), ("updated_at_time", self.updated_at_time)]

    def __repr__(self) -> str:
        return brief_repr(type(self), self.__rich_repr__())


class CoachingSession(Model, frozen=True, kw_only=True):
    """One version of a coaching session: its state as of ``updated_at_time``.

    Each change of a session is delivered as a new version with the same ``id``. `key` identifies
    the version. All times are aware datetimes. The repr shows ids and times alone: reprs end up in
    logs.

    Attributes:
        id: The session's id; all its versions have it.
        updated_at_time: When it changed to this version.
        driver: The driver who is coached, with their id.
        session_status: One of `SessionStatus`, or a later value. ``deleted``: the session no longer
            exists.
        coaching_type: One of `CoachingType`, or a later value.
        behaviors: What is coached.
        due_at_time: When it is to be completed.
        assigned_coach_id: The assigned coach's Samsara user id; None if no coach is assigned.
        completed_at_time: When it was completed; None if it was not.
        completed_coach_id: The Samsara user id of the coach who completed it.
        session_note: What the coach wrote about it.
        raw: The session's own JSON as received, with fields unknown to this library; only with
            ``keep_raw=True``. Half a surrogate pair, which is not valid JSON, is replaced by
            U+FFFD.
    """

    id: str
    updated_at_time: Time
    driver: Driver
    session_status: str
    coaching_type: str
    behaviors: tuple[Behavior, ...] = ()
    due_at_time: Time | None = None
    assigned_coach_id: str | None = None
    completed_at_time: Time | None = None
    completed_coach_id: str | None = None
    session_note: str | None = None
    raw: bytes | None = msgspec.field(default=None, name="~raw")  # which the API would not use

    @property
    def key(self) -> tuple[str, datetime]:
        """``(id, updated_at_time)`` identifies this version, so that you can act on it once.

        If a session changes twice within one ``updated_at_time``, both versions have this key.
        `content_digest` tells them apart.
        """
        return self.id, self.updated_at_time

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            ("id", self.id),
            ("updated_at_time", self.updated_at_time),
            ("driver_id", self.driver.driver_id),
        ]

    def __repr__(self) -> str:
        return brief_repr(type(self), self.__rich_repr__())

    @property
    def content_digest(self) -> str:
        """A short digest of the content that the API always sends.

        Coachable events, external ids and `raw` are left out, so that requesting them later makes
        no other version of it. Computed each time.
        """
        behaviors = sorted(
            (
                (b.id, b.coachable_behavior_type, b.updated_at_time, b.last_coached_time, b.note)
                for b in self.behaviors
            ),
            key=lambda behavior: behavior[:2],
        )
        content = (
            self.driver.driver_id,
            self.session_status,
            self.coaching_type,
            behaviors,
            self.due_at_time,
            self.assigned_coach_id,
            self.completed_at_time,
            self.completed_coach_id,
            self.session_note,
        )
        try:
            encoded = msgspec.json.encode(content)
        except UnicodeEncodeError:  # half a character, which only a session made by hand can have
            encoded = repr(content).encode(errors="backslashreplace")
        return blake2b(encoded, digest_size=6).hexdigest()


class CoachAssignment(Model, frozen=True, kw_only=True):
    """A driver's coach, as in the list of assignments.

    Attributes:
        coach_id: The coach's Samsara user id; None when the driver has no coach.
    """

    driver: Driver
    coach_id: str | None = None
    created_at_time: Time | None = None
    updated_at_time: Time | None = None


class AssignmentChange(Model, frozen=True, kw_only=True):
    """A driver's coach, as in the response to a change, which has only the driver's id."""

    driver_id: str
    coach_id: str | None = None
    created_at_time: Time | None = None
    updated_at_time: Time | None = None


class Pagination(Model, frozen=True, kw_only=True):
    """The cursor at the end of a page, and whether more pages follow."""

    end_cursor: str
    """Opaque; may be empty if there are no more pages."""
    has_next_page: bool


class ErrorBody(Model, frozen=True, kw_only=True):
    """The JSON body of an error response."""

    message: str
    request_id: str


class Position(Plain, frozen=True, kw_only=True):
    """How far a stream's sessions are settled (not: fetched), and where to resume.

    A key is a version's ``(id, updated_at_time)``.

    Attributes:
        query: The query string to resume with; the server accepts the cursor only with exactly
            this.
        origin: The query string of the first request. A backfill or a dead cursor changes the times
            of `query`, never its filters.
        cursor: Everything up to this cursor is settled: resume after it. None: at the start of
            `query`.
        cursor_time: When the server issued the cursor. Cursors expire after 30 days
            (https://developers.samsara.com/docs/pagination).
        settled: Keys of the versions after the cursor that are settled already.
        recent: Keys of the versions settled last, which are skipped if a dead cursor makes them
            reappear.
        watermark: The ``updated_at_time`` up to which everything is settled. If the cursor is dead,
            reading resumes 15 minutes and `disorder` before it.
        dead_cursor: A cursor that was refused; it is not sent again, unless the server issues it
            again.
        digests: The `CoachingSession.content_digest` of each version in `settled` and then in
            `recent`; empty in checkpoints of earlier releases, where a key alone says which version
            it is.
        disorder: By how much times went back in what was read: 0 if the server kept to the order of
            time.
    """

    query: str
    origin: str
    cursor: str | None = None
    cursor_time: Time | None = None
    settled: tuple[tuple[str, Time], ...] = ()
    recent: tuple[tuple[str, Time], ...] = ()
    watermark: Time | None = None
    dead_cursor: str | None = None
    digests: tuple[str, ...] = ()
    disorder: timedelta = timedelta()

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            ("query", printable(self.query, _LONGEST_SHOWN)),
            ("cursor", self.cursor and printable(self.cursor, _LONGEST_SHOWN)),
            ("watermark", self.watermark and self.watermark.isoformat()),
            ("settled", len(self.settled)),
        ]

    def __repr__(self) -> str:
        return brief_repr(type(self), self.__rich_repr__())

"""What the API sends, under its own names in snake case.

Shapes and meanings follow Samsara's OpenAPI description of the coaching endpoints (2025-10-23) and
the official SDK's later additions. The vendor adds fields and values without a new version
(https://developers.samsara.com/docs/versioning), so unknown fields are ignored and closed sets are
plain ``str`` with the documented values as constants.

Some fields the API calls required may be absent here, because one missing must not stop a feed:
``due_at_time``, ``behaviors``, ``last_coached_time`` (which a behaviour never coached before can
hardly have), and the times of an assignment.
"""

from datetime import datetime
from typing import Annotated, Final

import msgspec

Time = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware moment; a time without an offset is refused."""


class SessionStatus:
    """Values documented for ``CoachingSession.session_status``."""

    UNKNOWN: Final = "unknown"
    UPCOMING: Final = "upcoming"
    COMPLETED: Final = "completed"
    DELETED: Final = "deleted"


FILTER_STATUSES = (SessionStatus.UPCOMING, SessionStatus.COMPLETED, SessionStatus.DELETED)
"""The statuses one may ask for; ``unknown`` is not among them."""


class CoachingType:
    """Values documented for ``CoachingSession.coaching_type``."""

    FULLY_SHARED_WITH_MANAGER: Final = "fullySharedWithManager"
    SELF_COACHING: Final = "selfCoaching"
    UNKNOWN: Final = "unknown"
    UNSHARED: Final = "unshared"
    WITH_MANAGER: Final = "withManager"


class BehaviorType:
    """Values documented for ``Behavior.coachable_behavior_type``."""

    ACCELERATION: Final = "acceleration"
    BRAKING: Final = "braking"
    CAMERA_OBSTRUCTION: Final = "cameraObstruction"
    CRASH: Final = "crash"
    DEFENSIVE_DRIVING: Final = "defensiveDriving"
    DID_NOT_YIELD: Final = "didNotYield"
    DRINK_POLICY: Final = "drinkPolicy"
    DROWSY: Final = "drowsy"
    EATING_DRINKING: Final = "eatingDrinking"
    EVENT: Final = "event"
    FALSE_POSITIVE: Final = "falsePositive"
    FOOD_POLICY: Final = "foodPolicy"
    FORWARD_COLLISION_WARNING: Final = "forwardCollisionWarning"
    GENERIC_DISTRACTION: Final = "genericDistraction"
    HARSH_TURN: Final = "harshTurn"
    HOS_VIOLATION: Final = "hosViolation"
    IDLING: Final = "idling"
    LANE_DEPARTURE: Final = "laneDeparture"
    LATE_RESPONSE: Final = "lateResponse"
    MASK_POLICY: Final = "maskPolicy"
    MAX_SPEED: Final = "maxSpeed"
    MOBILE_USAGE: Final = "mobileUsage"
    NEAR_COLLISION: Final = "nearCollison"  # the API's own spelling
    NO_SEATBELT: Final = "noSeatbelt"
    OBSTRUCTED_CAMERA: Final = "obstructedCamera"
    OUTWARD_OBSTRUCTION: Final = "outwardObstruction"
    PASSENGER_POLICY: Final = "passengerPolicy"
    RAN_RED_LIGHT: Final = "ranRedLight"
    ROLLING_RAILROAD_CROSSING: Final = "rollingRailroadCrossing"
    ROLLING_STOP: Final = "rollingStop"
    ROLLOVER: Final = "rollover"
    ROLLOVER_PROTECTION: Final = "rolloverProtection"
    ROLLOVER_PROTECTION_BRAKE_CONTROL_ACTIVATED: Final = "rolloverProtectionBrakeControlActivated"
    ROLLOVER_PROTECTION_ENGINE_CONTROL_ACTIVATED: Final = "rolloverProtectionEngineControlActivated"
    SEVERE_SPEEDING: Final = "severeSpeeding"
    SMOKING: Final = "smoking"
    SPEEDING: Final = "speeding"
    TAILGATING: Final = "tailgating"
    UNKNOWN: Final = "unknown"
    YAW_CONTROL: Final = "yawControl"
    YAW_CONTROL_BRAKE_CONTROL_ACTIVATED: Final = "yawControlBrakeControlActivated"
    YAW_CONTROL_ENGINE_CONTROL_ACTIVATED: Final = "yawControlEngineControlActivated"


class EventSourceType:
    """Values known for ``EventLinkage.source_type``.

    The official SDK listed ``triageEvent`` up to 14.7 and ``safetyEvent`` in its place since.
    """

    SAFETY_EVENT: Final = "safetyEvent"
    TRIAGE_EVENT: Final = "triageEvent"
    HOS_VIOLATION: Final = "hosViolation"
    IDLING: Final = "idling"


class Model(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """How every struct of the API is spelled."""


class Driver(Model, frozen=True, kw_only=True):
    """Who is coached."""

    driver_id: str
    """Samsara's id."""
    external_ids: dict[str, str] | None = None
    """Your ids, by key; only with ``include_external_ids=True``."""


class EventLinkage(Model, frozen=True, kw_only=True):
    """What a coachable event came from (in the official SDK since 2026-08-10)."""

    source_id: str | None = None
    source_type: str | None = None
    """One of `EventSourceType`, or a later value."""


class CoachableEvent(Model, frozen=True, kw_only=True):
    """One event of a behaviour."""

    id: str
    """``vehicleId - eventMS`` for safety events, ``driverId,date`` for a day of hours-of-service
    violations, a UUID for speeding and idling: it may hold spaces and commas."""
    linkage: EventLinkage | None = None


class Behavior(Model, frozen=True, kw_only=True):
    """One behaviour to be coached in a session."""

    id: str
    coachable_behavior_type: str
    """One of `BehaviorType`, or a later value."""
    updated_at_time: Time
    last_coached_time: Time | None = None
    """When the same behaviour was last coached."""
    note: str | None = None
    coachable_events: tuple[CoachableEvent, ...] | None = None
    """Only with ``include_coachable_events=True``; the API caps them at 100 per session, without
    saying so in the answer."""


class CoachingSession(Model, frozen=True, kw_only=True):
    """One version of a coaching session: its state as of ``updated_at_time``.

    The same ``id`` comes again whenever the session changes; `key` tells versions apart.
    """

    id: str
    updated_at_time: Time
    driver: Driver
    session_status: str
    """One of `SessionStatus`, or a later value. ``deleted`` marks a session that is gone."""
    coaching_type: str
    """One of `CoachingType`, or a later value."""
    behaviors: tuple[Behavior, ...] = ()
    due_at_time: Time | None = None
    assigned_coach_id: str | None = None
    completed_at_time: Time | None = None
    completed_coach_id: str | None = None
    session_note: str | None = None
    raw: bytes | None = msgspec.field(default=None, name="~raw")
    """The session's own JSON as it came, with fields this library does not know; only with
    ``keep_raw=True``. Half a character (``\\ud83d`` without its other half), which is not JSON, is
    replaced by ``\\ufffd``. Its wire name is none the API would use."""

    @property
    def key(self) -> tuple[str, datetime]:
        """``(id, updated_at_time)``: names this version, for handlers that must not act twice."""
        return self.id, self.updated_at_time


class CoachAssignment(Model, frozen=True, kw_only=True):
    """Who coaches a driver, as the list of assignments tells it."""

    driver: Driver
    coach_id: str | None = None
    """The coach's Samsara user id; None when the driver has no coach."""
    created_at_time: Time | None = None
    updated_at_time: Time | None = None


class AssignmentChange(Model, frozen=True, kw_only=True):
    """Who coaches a driver, as the answer to a change tells it: the driver is a bare id."""

    driver_id: str
    coach_id: str | None = None
    created_at_time: Time | None = None
    updated_at_time: Time | None = None


class Pagination(Model, frozen=True, kw_only=True):
    """Where a page ends."""

    end_cursor: str
    """Opaque; may be empty when there is nothing more."""
    has_next_page: bool


class ErrorBody(Model, frozen=True, kw_only=True):
    """What a refusal says, when it is JSON."""

    message: str
    request_id: str


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How far a reader of a stream has come: what it has finished, not what was fetched."""

    query: str
    """The query's wire form; the server binds the cursor to it, byte for byte."""
    origin: str
    """The wire form as it was first asked for. `query` differs from it once a dead cursor has made
    the reader begin again, later."""
    cursor: str | None = None
    """Read on after this and nothing unfinished is skipped; None: from the start of the query."""
    cursor_time: Time | None = None
    """When the server gave the cursor. Cursors live 30 days
    (https://developers.samsara.com/docs/pagination)."""
    settled: tuple[tuple[str, Time], ...] = ()
    """Keys of the versions beyond the cursor that are finished all the same."""
    recent: tuple[tuple[str, Time], ...] = ()
    """Keys of versions last finished, which would come again if the cursor died."""
    watermark: Time | None = None
    """The highest ``updated_at_time`` finished so far."""
    dead_cursor: str | None = None
    """A cursor the server refused; never to be sent again."""

"""The API's enumerations: plain ``str``, with the documented values as constants."""

from typing import Final, Literal, get_args


class SessionStatus:
    """Values documented for ``CoachingSession.session_status``."""

    UNKNOWN: Final = "unknown"
    UPCOMING: Final = "upcoming"
    COMPLETED: Final = "completed"
    DELETED: Final = "deleted"


FilterStatus = Literal["upcoming", "completed", "deleted"]
"""A status that a query can filter by; ``unknown`` is not one of them."""
FILTER_STATUSES: tuple[FilterStatus, ...] = get_args(FilterStatus)
"""All of them."""


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

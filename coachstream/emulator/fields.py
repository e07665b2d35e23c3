"""The fields that a test may give to a session of the world."""

from collections.abc import Mapping
from datetime import datetime

from .clock import stamp_text, to_ms
from .history import State

_TEXTS = (
    "assignedCoachId",
    "coachingType",
    "completedCoachId",
    "id",
    "sessionNote",
    "sessionStatus",
)
_TIMES = ("completedAtTime", "dueAtTime")
_NAMES = (*_TEXTS, *_TIMES, "behaviors")
_NEVER_NONE = ("id", "sessionStatus")
_INSTEAD = {"driver": "driver_id", "driverId": "driver_id", "updatedAtTime": "updated_at"}
_OF_A_BEHAVIOR = (
    "coachableBehaviorType",
    "coachableEvents",
    "id",
    "lastCoachedTime",
    "note",
    "updatedAtTime",
)


def checked_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields, with times as text.

    Raises:
        TypeError: a field is unknown, or its value has another type; the message names it.
    """
    return {name: _checked(name, value) for name, value in fields.items()}


def checked_id(name: str, value: str | None) -> None:
    """Check an id of a driver, a coach or a session; None stands for none.

    Raises:
        TypeError: it is no string.
    """
    if not isinstance(value, str | None):
        raise TypeError(f"{name} needs a string, not {value!r}")


def first_state(fields: dict[str, object], *, coach: str | None) -> State:
    """Return the state in which a session begins, and take its fields out of ``fields``."""
    return State(
        status=str(fields.pop("sessionStatus", "upcoming")),
        assigned_coach=_text(fields.pop("assignedCoachId", coach)),
        completed_coach=_text(fields.pop("completedCoachId", None)),
        completed_at=_text(fields.pop("completedAtTime", None)),
        note=_text(fields.pop("sessionNote", None)),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _checked(name: str, value: object) -> object:
    if name in _INSTEAD:
        raise TypeError(f"{name} can't be set here; use {_INSTEAD[name]}")
    if name not in _NAMES:
        raise TypeError(
            f"unknown field {name!r}; known are {', '.join(_NAMES)}; others can be given in extra"
        )
    if value is None and name not in _NEVER_NONE:
        return None
    if name == "behaviors":
        return _checked_behaviors(value)
    if name in _TIMES and isinstance(value, datetime):
        return stamp_text(to_ms(value))
    if not isinstance(value, str):
        kinds = "an aware datetime or a string" if name in _TIMES else "a string"
        raise TypeError(f"{name} needs {kinds}, not {value!r}; for malformed sessions, use extra")
    return value


def _checked_behaviors(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise TypeError(f"behaviors needs a list of dicts, not {value!r}")
    for name in (name for one in value for name in one):
        if name not in _OF_A_BEHAVIOR:
            known = ", ".join(_OF_A_BEHAVIOR)
            raise TypeError(f"unknown field {name!r} of a behavior; known are {known}")
    return value

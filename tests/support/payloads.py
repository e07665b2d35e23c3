"""Payloads as documented in Samsara's OpenAPI description, with its example values."""

import json
from typing import Any

UUID = "f5271458-21f9-4a9f-a290-780c6d8840ff"
TIME = "2019-06-13T19:08:25Z"

SESSION: dict[str, Any] = {
    "assignedCoachId": "45646",
    "behaviors": [
        {
            "coachableBehaviorType": "forwardCollisionWarning",
            "coachableEvents": [
                {"id": UUID, "linkage": {"sourceId": "1234", "sourceType": "triageEvent"}}
            ],
            "id": UUID,
            "lastCoachedTime": TIME,
            "note": "Need to wear seatbelt even for short trips.",
            "updatedAtTime": TIME,
        }
    ],
    "coachingType": "unshared",
    "completedAtTime": TIME,
    "completedCoachId": "45646",
    "driver": {"driverId": "0987", "externalIds": {"payrollId": "ABFS18600"}},
    "dueAtTime": TIME,
    "id": UUID,
    "sessionNote": "Need to wear seatbelt even for short trips.",
    "sessionStatus": "completed",
    "updatedAtTime": TIME,
}
LEAST_SESSION: dict[str, Any] = {
    name: SESSION[name]
    for name in (
        "behaviors",
        "coachingType",
        "driver",
        "dueAtTime",
        "id",
        "sessionStatus",
        "updatedAtTime",
    )
} | {"behaviors": [], "driver": {"driverId": "0987"}}
"""Only the fields that the description requires."""

ASSIGNMENT: dict[str, Any] = {
    "coachId": "45646",
    "createdAtTime": TIME,
    "driver": {"driverId": "0987", "externalIds": {"payrollId": "ABFS18600"}},
    "updatedAtTime": TIME,
}
CHANGE: dict[str, Any] = {
    "coachId": "45646",
    "createdAtTime": TIME,
    "driverId": "45646",
    "updatedAtTime": TIME,
}
PAGINATION: dict[str, Any] = {"endCursor": "MjkY", "hasNextPage": True}
ERROR = {"message": "Invalid token.", "requestId": "8916e1c1"}


def page(*data: object, **pagination: object) -> bytes:
    """Return a page's body."""
    return json.dumps({"data": data, "pagination": PAGINATION | pagination}).encode()

"""How one version of a session looks in JSON."""

from random import Random

import msgspec

from .clock import stamp_text
from .content import Json, behaviors, event, spread
from .history import Session, Version

EVENTS_CAP = 100
"""The most coachable events served of one session, says Samsara's OpenAPI description."""


def session_json(version: Version, external_ids: dict[str, str], *, events: int | None) -> Json:
    """Return a version with at most ``events`` events in all, or with no word of them for None.

    What is absent has no key, as Samsara sends it, rather than a null.
    """
    session, state = version.session, version.state
    driver: Json = {"driverId": session.driver_id}
    if external_ids:
        driver["externalIds"] = external_ids
    whole: Json = {
        "assignedCoachId": state.assigned_coach,
        "behaviors": _drawn_behaviors(session, with_events=events is not None),
        "coachingType": session.coaching_type,
        "completedAtTime": state.completed_at,
        "completedCoachId": state.completed_coach,
        "driver": driver,
        "dueAtTime": stamp_text(session.due),
        "id": session.id,
        "sessionNote": state.note,
        "sessionStatus": state.status,
        "updatedAtTime": stamp_text(version.stamp),
        **session.given,
    }
    whole["behaviors"] = _capped(whole["behaviors"], events)
    return {name: value for name, value in whole.items() if value is not None}


def session_bytes(
    version: Version, external_ids: dict[str, str], *, show_events: bool, show_external_ids: bool
) -> bytes:
    """Return a version as it is served, encoded once and then remembered."""
    view = (show_events, show_external_ids)
    if (known := version.shown.get(view)) is None:
        shown = session_json(
            version,
            external_ids if show_external_ids else {},
            events=EVENTS_CAP if show_events else None,
        )
        known = version.shown[view] = msgspec.json.encode(shown)
    return known


def _drawn_behaviors(session: Session, *, with_events: bool) -> list[Json]:
    drawn = behaviors(Random(session.seed), session.created)
    if with_events:
        # A source of its own, so that asking for events changes nothing else.
        random = Random(session.seed ^ 1 << 80)
        for behavior, count in zip(drawn, spread(random, len(drawn)), strict=True):
            kind = str(behavior["coachableBehaviorType"])
            behavior["coachableEvents"] = [
                event(random, kind, session.driver_id, session.created) for _ in range(count)
            ]
    return drawn


def _capped(behaviors: object, room: int | None) -> object:
    """Keep the first ``room`` events of all behaviors together; None takes the key away."""
    if not isinstance(behaviors, list):
        return behaviors
    kept = []
    for behavior in behaviors:
        shown = dict(behavior)
        events = shown.pop("coachableEvents", [])
        if room is not None:
            shown["coachableEvents"] = events[:room]
            room -= len(shown["coachableEvents"])
        kept.append(shown)
    return kept

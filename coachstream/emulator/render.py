"""Versions of sessions as JSON."""

from random import Random

import msgspec

from .clock import stamp_text
from .content import Json, behaviors, event, event_counts, note
from .history import Version

MAX_EVENTS = 100
"""The maximum of coachable events per session, from Samsara's OpenAPI description."""


def session_json(version: Version, external_ids: dict[str, str], *, events: int | None) -> Json:
    """Return a version with at most ``events`` events in total; None omits their key.

    As in Samsara's responses, an absent value has no key; it is never null.
    """
    session, state = version.session, version.state
    driver: Json = {"driverId": session.driver_id}
    if external_ids:
        driver["externalIds"] = external_ids
    whole: Json = {
        "assignedCoachId": state.assigned_coach,
        "behaviors": _draw_behaviors(version, with_events=events is not None),
        "coachingType": session.coaching_type,
        "completedAtTime": state.completed_at,
        "completedCoachId": state.completed_coach,
        "driver": driver,
        "dueAtTime": stamp_text(session.due),
        "id": session.id,
        "sessionNote": state.note,
        "sessionStatus": state.status,
        "updatedAtTime": stamp_text(version.updated),
        **session.overrides,
    }
    whole["behaviors"] = _limit_events(whole["behaviors"], events)
    return {name: value for name, value in whole.items() if value is not None}


def session_bytes(
    version: Version, external_ids: dict[str, str], *, show_events: bool, show_external_ids: bool
) -> bytes:
    """Return a version as served; the encoded JSON is cached."""
    view = (show_events, show_external_ids)
    if (encoded := version.encoded.get(view)) is None:
        decoded = session_json(
            version,
            external_ids if show_external_ids else {},
            events=MAX_EVENTS if show_events else None,
        )
        encoded = version.encoded[view] = msgspec.json.encode(decoded)
    return encoded


def _draw_behaviors(version: Version, *, with_events: bool) -> list[Json]:
    session = version.session
    drawn = behaviors(Random(session.seed), session.created)
    if version.behaviors_seed is not None:
        _change_behaviors(Random(version.behaviors_seed), drawn, version.stamp)
    if with_events:
        # A separate generator, so that including events changes nothing else.
        random = Random(session.seed ^ 1 << 80)
        for behavior, count in zip(drawn, event_counts(random, len(drawn)), strict=True):
            kind = str(behavior["coachableBehaviorType"])
            behavior["coachableEvents"] = [
                event(random, kind, session.driver_id, session.created) for _ in range(count)
            ]
    return drawn


def _change_behaviors(random: Random, drawn: list[Json], at: int) -> None:
    """Coach some of the behaviors, with a note, and remove the last one at times."""
    for behavior in drawn:
        if random.random() < 0.5:
            behavior.update(
                note=note(random), lastCoachedTime=stamp_text(at), updatedAtTime=stamp_text(at)
            )
    if drawn and random.random() < 0.2:
        drawn.pop()


def _limit_events(behaviors: object, limit: int | None) -> object:
    """Keep the first ``limit`` events of all behaviors together; None removes the key."""
    if not isinstance(behaviors, list):
        return behaviors
    limited = []
    for behavior in behaviors:
        copy = dict(behavior)
        events = copy.pop("coachableEvents", [])
        if limit is not None:
            copy["coachableEvents"] = events[:limit]
            limit -= len(copy["coachableEvents"])
        limited.append(copy)
    return limited

"""Random content of the world: people, behaviors, events and notes.

Shapes and enumerations follow Samsara's OpenAPI description of the coaching endpoints. Texts and
ids contain what breaks careless clients: quotes, newlines, spaces, commas, other scripts.
"""

from random import Random
from typing import Any

from .clock import stamp_text

Json = dict[str, Any]

MINUTE = 60_000
DAY = 24 * 60 * MINUTE

COACHING_TYPES = ("fullySharedWithManager", "selfCoaching", "unknown", "unshared", "withManager")

# Spelled as Samsara spells them, "nearCollison" included.
BEHAVIOR_TYPES = (  # noqa: SIM905 - forty quoted lines are no clearer
    "acceleration braking cameraObstruction crash defensiveDriving didNotYield drinkPolicy drowsy "
    "eatingDrinking event falsePositive foodPolicy forwardCollisionWarning genericDistraction "
    "harshTurn hosViolation idling laneDeparture lateResponse maskPolicy maxSpeed mobileUsage "
    "nearCollison noSeatbelt obstructedCamera outwardObstruction passengerPolicy ranRedLight "
    "rollingRailroadCrossing rollingStop rollover rolloverProtection "
    "rolloverProtectionBrakeControlActivated rolloverProtectionEngineControlActivated "
    "severeSpeeding smoking speeding tailgating unknown yawControl "
    "yawControlBrakeControlActivated yawControlEngineControlActivated"
).split()

NOTES = (
    "Keep four seconds to the vehicle ahead.",
    'He said: "the sun was low".\nWatched the clip together.',
    "Früh losgefahren, müde — Pause besprochen.",
    "Habló del cinturón; lo usará también en trayectos cortos.",
    "シートベルトを確認しました。",
    "Backslash \\ slash / tab\tand a tie 👔\r\nSecond line.",
    "Rolling stop at 5th & Main: 100 % stop next time, <ok>?",
    "",
)


def uuid(random: Random) -> str:
    """Draw a version 4 UUID."""
    h = f"{random.getrandbits(128):032x}"
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def driver_ids(random: Random, count: int) -> tuple[str, ...]:
    """Draw ``count`` different driver ids: numbers, as text."""
    return tuple(str(n) for n in random.sample(range(1_000_000, 60_000_000), count))


def coach_ids(random: Random, count: int) -> tuple[str, ...]:
    """Draw ``count`` different coach ids; coaches are users."""
    return tuple(str(n) for n in random.sample(range(10_000, 990_000), count))


def external_ids(random: Random, number: int) -> dict[str, str]:
    """Draw the external ids of one driver; some have none.

    The characters are those that Samsara allows, and the prefix "samsara." marks ids that Samsara
    creates itself: https://developers.samsara.com/docs/external-ids.
    """
    ids: dict[str, str] = {}
    if random.random() < 0.7:
        ids["payroll"] = f"A+B_{number}%@x-{random.randrange(100)}"
    if random.random() < 0.3:
        ids["samsara.serial"] = f"G{random.getrandbits(32):08X}-{number}"
    return ids


def note(random: Random) -> str:
    """Draw a note; one in eight is empty."""
    return random.choice(NOTES)


def behaviors(random: Random, created: int) -> list[Json]:
    """Draw the behaviors of a session created at ``created``, without their events."""
    count = random.choices(range(7), weights=(1, 8, 6, 4, 2, 1, 1))[0]
    return [_behavior(random, created) for _ in range(count)]


def _behavior(random: Random, created: int) -> Json:
    behavior: Json = {
        "coachableBehaviorType": random.choice(BEHAVIOR_TYPES),
        "id": uuid(random),
        "lastCoachedTime": stamp_text(created - random.randrange(1, 60 * DAY)),
        "updatedAtTime": stamp_text(created),
    }
    if random.random() < 0.3:
        behavior["note"] = note(random)
    return behavior


def event_counts(random: Random, behaviors: int) -> list[int]:
    """Draw how many events each behavior has: 0 to 40 in total, or rarely more than 100."""
    if not behaviors:
        return []
    total = random.randint(101, 140) if random.random() < 0.02 else random.randint(0, 40)
    counts = [0] * behaviors
    for _ in range(total):
        counts[random.randrange(behaviors)] += 1
    return counts


def event(random: Random, behavior_type: str, driver_id: str, created: int) -> Json:
    """Draw one coachable event, with an id in the format of its kind.

    The four formats are documented on ``coachableEvents``: "vehicleId - eventMS" for safety events,
    a UUID for speeding and for idling, "{driverId},{date}" for a day of hours-of-service
    violations. ``linkage`` was added to the vendor's SDK in August 2026; older events lack it.
    """
    at = created - random.randrange(1, 10 * DAY)
    source = "safetyEvent"
    match behavior_type:
        case "speeding" | "severeSpeeding" | "maxSpeed":
            id_ = uuid(random)
        case "hosViolation":
            id_, source = f"{driver_id},{stamp_text(at)[:10]}", "hosViolation"
        case "idling":
            id_, source = uuid(random), "idling"
        case _:
            id_ = f"{random.randrange(10**14, 10**15)} - {at}"
    drawn: Json = {"id": id_}
    if random.random() < 0.8:
        drawn["linkage"] = {"sourceId": uuid(random), "sourceType": source}
    return drawn

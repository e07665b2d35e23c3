"""A world in which only the test changes anything."""

from datetime import datetime, timedelta

from coachstream.emulator import World


def quiet_world(
    seed: int = 1,
    *,
    sessions: int = 50,
    drivers: int = 10,
    coaches: int = 3,
    now: datetime | None = None,
    history: timedelta = timedelta(days=90),
    changes_per_hour: float = 0.0,
) -> World:
    """Return a small world that only the test changes, so that its final state is predictable.

    The arguments are those of `World`; only the defaults differ.
    """
    return World(
        seed,
        sessions=sessions,
        drivers=drivers,
        coaches=coaches,
        now=now,
        history=history,
        changes_per_hour=changes_per_hour,
    )

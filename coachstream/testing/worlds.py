"""A world in which nothing happens but what the test does."""

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
    """Return a small world that stands still, so that a test can say what is in it at the end.

    The arguments are those of `World`, and only the defaults differ.
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

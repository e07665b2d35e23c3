"""New versions of sessions: when they were updated, and what is particular to each."""

from datetime import datetime
from random import Random
from typing import Literal

from .clock import from_ms, to_ms
from .content import DAY, MINUTE
from .history import Record, Session, State, Version

Times = Literal["unique", "seconds", "late", "disordered", "ahead"]
"""How the updatedAtTime of a version relates to the moment at which it becomes visible.

"unique": it is that moment, and no two versions share one. "seconds": whole seconds, so that
versions share one, even two of one session. "late": up to 14 minutes earlier. "disordered": up to
an hour earlier. "ahead": for one version in eight it is up to a day later, as if a device's clock
were wrong.
"""


class Versions:
    """Creates versions."""

    def __init__(
        self, record: Record, seed: int, *, times: Times, changing_behaviors: bool
    ) -> None:
        self._record = record
        self._random = Random(f"{seed} versions")
        self._times = times
        self._changing_behaviors = changing_behaviors

    def new(self, session: Session, at: int, state: State, updated: datetime | None) -> Version:
        """Return a version that becomes visible at ``at``, or a little later."""
        stamp = self._record.stamp(at)
        if updated is None:
            # The versions of one session are in the order of their times all the same.
            before = session.latest.updated if session.versions else 0
            moment = max(before, self._draw_time(stamp))
        else:
            moment = to_ms(updated)
        seed = self._random.getrandbits(64) if self._changing_behaviors else None
        return Version(session, stamp, state, moment, behaviors_seed=seed)

    def shared_time(self, at: int) -> datetime:
        """Return the updatedAtTime that all versions of one change at ``at`` share."""
        return from_ms(at // 1000 * 1000 if self._times == "seconds" else at)

    def _draw_time(self, at: int) -> int:
        random = self._random
        match self._times:
            case "unique":
                return at
            case "seconds":
                return at // 1000 * 1000
            case "late":
                return at - random.randrange(14 * MINUTE)
            case "disordered":
                return at - random.randrange(60 * MINUTE)
            case "ahead":
                return at + (random.randrange(DAY) if random.random() < 1 / 8 else 0)

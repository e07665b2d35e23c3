"""Sessions, their versions, and the record of versions in the order of the feed."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from operator import attrgetter
from typing import NamedTuple

from .clock import stamp_text
from .content import Json


@dataclass(slots=True, eq=False)
class Session:
    """The fixed part of a coaching session. Times are milliseconds since 1970."""

    id: str
    seed: int
    """The seed for the behaviors and events, which are drawn only when needed."""
    driver_id: str
    created: int
    due: int
    coaching_type: str
    overrides: Json = field(default_factory=dict)
    """Fields set by a test, by their names in JSON; None leaves a field out."""
    versions: list["Version"] = field(default_factory=list)

    @property
    def latest(self) -> "Version":
        """The current version."""
        return self.versions[-1]


class State(NamedTuple):
    """The part of a session that changes; None means absent."""

    status: str = "upcoming"
    assigned_coach: str | None = None
    completed_coach: str | None = None
    completed_at: str | None = None
    note: str | None = None


@dataclass(slots=True, eq=False)
class Version:
    """The state of a session from one change to the next."""

    session: Session
    stamp: int
    """When it became visible, in milliseconds since 1970: its place in the feed, and unique."""
    state: State
    updated: int
    """Its updatedAtTime, which may be another time, and that of other versions too."""
    behaviors_seed: int | None = None
    """The seed for what this version changes in the behaviors; None: nothing."""
    superseded: int | None = None
    """The stamp of the next version; None while this is the latest."""
    encoded: dict[tuple[bool, bool], bytes] = field(default_factory=dict)
    """Cached JSON, by whether it includes events and external ids."""
    _key: tuple[str, str] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The id and the updatedAtTime, as served."""
        if self._key is None:
            self._key = (self.session.id, stamp_text(self.updated))
        return self._key


class Log:
    """Versions in the order of their stamps, which only increase.

    A position in the log is a stamp, so it stays valid after a restart and after ``compact``.
    """

    def __init__(self) -> None:
        self._versions: list[Version] = []

    def __len__(self) -> int:
        return len(self._versions)

    def __iter__(self) -> Iterator[Version]:
        return iter(self._versions)

    def append(self, version: Version) -> None:
        """Add the newest version."""
        self._versions.append(version)

    def after(self, stamp: int) -> Iterator[Version]:
        """Yield the versions stamped later than ``stamp``, lazily."""
        start = bisect_right(self._versions, stamp, key=attrgetter("stamp"))
        for index in range(start, len(self._versions)):
            yield self._versions[index]

    def compact(self) -> None:
        """Remove the versions that a later one has superseded."""
        self._versions = [v for v in self._versions if v.superseded is None]


class Record:
    """All versions of all sessions, readable as a feed."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.every = Log()
        self._live = Log()
        self._by_driver: dict[str, Log] = {}
        self._last_stamp = 0
        self.most_behind = 0
        """Milliseconds that a version's updatedAtTime is before its stamp, at most."""
        self.most_ahead = 0
        """Milliseconds that one is after its stamp, at most."""

    def stamp(self, at: int) -> int:
        """Return a stamp for a change at ``at``, at least a millisecond later than all others.

        Stamps are unique, so a stamp alone is a position in the feed.
        """
        self._last_stamp = max(at, self._last_stamp + 1)
        return self._last_stamp

    def begin(self, version: Version) -> None:
        """Add a new session with its first version."""
        session = version.session
        if session.id in self.sessions:
            raise ValueError(f"session {session.id} already exists")
        self.sessions[session.id] = session
        self._add(version)

    def change(self, version: Version) -> None:
        """Add a version that supersedes the latest of its session."""
        version.session.latest.superseded = version.stamp
        self._add(version)
        # Compacting only when half of the log is superseded keeps the average cost constant.
        if len(self._live) > 2 * len(self.sessions):
            self._live.compact()

    def live(self) -> Iterator[Version]:
        """Yield the current version of each session, in feed order."""
        return (version for version in self._live if version.superseded is None)

    def feed(
        self, after: int, *, drivers: frozenset[str] | None = None, every: bool = False
    ) -> Iterator[Version]:
        """Yield the versions stamped later than ``after`` (milliseconds since 1970), in order.

        Args:
            after: The position to start after.
            drivers: Only these drivers' sessions; None for all.
            every: Include the versions that a later one has superseded.
        """
        if drivers is None:
            found = (self.every if every else self._live).after(after)
        else:
            logs = (self._by_driver[d].after(after) for d in drivers if d in self._by_driver)
            found = merge(*logs, key=attrgetter("stamp"))
        return found if every else (v for v in found if v.superseded is None)

    def _add(self, version: Version) -> None:
        behind = version.stamp - version.updated
        self.most_behind = max(self.most_behind, behind)
        self.most_ahead = max(self.most_ahead, -behind)
        version.session.versions.append(version)
        self.every.append(version)
        self._live.append(version)
        self._by_driver.setdefault(version.session.driver_id, Log()).append(version)

"""Sessions, their versions, and the record that keeps versions in the order of their stamps."""

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
    """What of a coaching session never changes. Times are milliseconds since 1970."""

    id: str
    seed: int
    """Draws the behaviors and events, which are made only when somebody looks."""
    driver_id: str
    created: int
    due: int
    coaching_type: str
    given: Json = field(default_factory=dict)
    """Fields a test asked for, by their names in JSON; None leaves a field out."""
    versions: list["Version"] = field(default_factory=list)

    @property
    def latest(self) -> "Version":
        """The state the session is in."""
        return self.versions[-1]


class State(NamedTuple):
    """What of a session changes; what is None is absent."""

    status: str = "upcoming"
    assigned_coach: str | None = None
    completed_coach: str | None = None
    completed_at: str | None = None
    note: str | None = None


@dataclass(slots=True, eq=False)
class Version:
    """The state of a session from one change to the next.

    It is known by the session's id and by ``stamp``, which is served as updatedAtTime.
    """

    session: Session
    stamp: int
    state: State
    superseded: int | None = None
    """The stamp of the next version; None while this is the latest."""
    shown: dict[tuple[bool, bool], bytes] = field(default_factory=dict)
    """Its JSON once somebody has asked, by whether events and external ids are shown."""
    _key: tuple[str, str] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The id and the updatedAtTime, as they are served."""
        if self._key is None:
            self._key = (self.session.id, stamp_text(self.stamp))
        return self._key


class Log:
    """Versions in the order of their stamps, which only grow.

    A place in the log is a stamp. It therefore outlives the process, and ``compact``.
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
        """Yield what was stamped later than ``stamp``; costs no more than what is taken."""
        start = bisect_right(self._versions, stamp, key=attrgetter("stamp"))
        for place in range(start, len(self._versions)):
            yield self._versions[place]

    def compact(self) -> None:
        """Forget the versions that a later one has superseded."""
        self._versions = [v for v in self._versions if v.superseded is None]


class Record:
    """Every session and every version of it, ready to be read as a feed."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.every = Log()
        self._live = Log()
        self._by_driver: dict[str, Log] = {}
        self._last_stamp = 0

    def stamp(self, at: int) -> int:
        """Return a stamp for a change at ``at``: later than all others, by a millisecond at least.

        No two versions share a stamp, so that a stamp alone is a place in the feed.
        """
        self._last_stamp = max(at, self._last_stamp + 1)
        return self._last_stamp

    def begin(self, version: Version) -> None:
        """Enter a new session by its first version."""
        session = version.session
        if session.id in self.sessions:
            raise ValueError(f"there is a session {session.id} already")
        self.sessions[session.id] = session
        self._enter(version)

    def change(self, version: Version) -> None:
        """Enter a version that supersedes the latest of its session."""
        version.session.latest.superseded = version.stamp
        self._enter(version)
        # Half of what is read would be skipped: time to clean up, at a cost spread over the rest.
        if len(self._live) > 2 * len(self.sessions):
            self._live.compact()

    def live(self) -> Iterator[Version]:
        """Yield each session as it is now, in feed order."""
        return (version for version in self._live if version.superseded is None)

    def feed(
        self, after: int, *, drivers: frozenset[str] | None = None, every: bool = False
    ) -> Iterator[Version]:
        """Yield the versions stamped later than ``after`` (milliseconds since 1970), in order.

        Args:
            after: Where to begin, exclusive.
            drivers: Only these drivers' sessions; None for all.
            every: Also the versions that a later one has superseded.
        """
        if drivers is None:
            found = (self.every if every else self._live).after(after)
        else:
            logs = (self._by_driver[d].after(after) for d in drivers if d in self._by_driver)
            found = merge(*logs, key=attrgetter("stamp"))
        return found if every else (v for v in found if v.superseded is None)

    def _enter(self, version: Version) -> None:
        version.session.versions.append(version)
        self.every.append(version)
        self._live.append(version)
        self._by_driver.setdefault(version.session.driver_id, Log()).append(version)

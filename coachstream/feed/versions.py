"""What a version is: its key and its content. Recognises versions that come again.

In memory a version is the decoded session. What is stored of it is its key and a short digest of
its content, which is only made when it is to be stored or compared.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from operator import attrgetter
from typing import NamedTuple, TypeVar

import msgspec

from ..models import CoachingSession, Position
from ..wire.pages import Entry


class StoredVersion(NamedTuple):
    """What a position keeps of a version."""

    id: str
    updated_at_time: datetime
    digest: str
    """Empty if an earlier release stored it: then the key alone counts."""


Version = Entry | StoredVersion
V = TypeVar("V", bound=Version)


def stored(version: Version) -> StoredVersion | None:
    """Return what is stored of a version; None: it can't be named, so it can't be recognised."""
    if isinstance(version, StoredVersion):
        return version
    if isinstance(version, CoachingSession):
        return StoredVersion(version.id, version.updated_at_time, version.content_digest)
    if version.session_id is None or version.updated_at_time is None:
        return None
    digest = blake2b(version.raw, digest_size=6).hexdigest()
    return StoredVersion(version.session_id, version.updated_at_time, digest)


def all_stored(versions: Iterable[Version]) -> list[StoredVersion]:
    """Return what is stored of all versions that can be named."""
    return [one for version in versions if (one := stored(version)) is not None]


def settled_in(position: Position) -> list[StoredVersion]:
    """Return the versions settled beyond a position's cursor."""
    return _in(position)[: len(position.settled)]


def recent_in(position: Position) -> list[StoredVersion]:
    """Return the versions that a position has settled last."""
    return _in(position)[len(position.settled) :]


def with_versions(
    position: Position,
    *,
    settled: Sequence[StoredVersion] = (),
    recent: Sequence[StoredVersion] = (),
) -> Position:
    """Return the position with these versions."""
    digests = tuple(one.digest for one in (*settled, *recent))
    return msgspec.structs.replace(
        position,
        settled=tuple(one[:2] for one in settled),
        recent=tuple(one[:2] for one in recent),
        digests=digests if any(digests) else (),
    )


def _in(position: Position) -> list[StoredVersion]:
    keys = (*position.settled, *position.recent)
    digests = position.digests if len(position.digests) == len(keys) else [""] * len(keys)
    return [
        StoredVersion(name, time, digest)
        for (name, time), digest in zip(keys, digests, strict=True)
    ]


def times_of(versions: Iterable[Version]) -> list[datetime]:
    """Return the times of all versions that have one."""
    times = [*map(_time, versions)]
    return times if all(times) else [*filter(None, times)]  # type: ignore[return-value]  # checked


def since(start: datetime, versions: Sequence[V]) -> list[V]:
    """Return the versions updated at ``start`` or later."""
    if max(times_of(versions), default=start) < start:
        return []
    return [one for one in versions if one.updated_at_time and one.updated_at_time >= start]


class VersionSet:
    """Versions that are recognised when they come again."""

    def __init__(self, versions: Iterable[Version] = ()) -> None:
        self._by_key: dict[Hashable, list[Version]] = {}
        self.update(versions)

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def __iter__(self) -> Iterator[Version]:
        return (version for versions in self._by_key.values() for version in versions)

    def __contains__(self, version: Version) -> bool:
        same_key = self._by_key.get(key_of(version), ())
        return any(_same(known, version) for known in same_key)

    def update(self, versions: Iterable[Version]) -> None:
        """Add versions."""
        for version in versions:
            self._by_key.setdefault(key_of(version), []).append(version)

    def discard(self, versions: Iterable[Version]) -> None:
        """Remove versions."""
        for version in versions:
            key = key_of(version)
            others = [one for one in self._by_key.pop(key, ()) if not _same(one, version)]
            if others:
                self._by_key[key] = others

    def clear(self) -> None:
        """Remove all."""
        self._by_key.clear()

    def split(self, entries: tuple[Entry, ...]) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """Return the entries that are not in the set, and those that are."""
        if not self._by_key or self._by_key.keys().isdisjoint(map(key_of, entries)):
            return entries, ()
        known = [entry in self for entry in entries]
        pairs = [*zip(entries, known, strict=True)]
        return (
            tuple(entry for entry, is_known in pairs if not is_known),
            tuple(entry for entry, is_known in pairs if is_known),
        )


def key_of(version: Version) -> Hashable:
    """Return what a version is found by: its key, or if it has none, all of it."""
    if isinstance(version, CoachingSession | StoredVersion):
        return version.id, version.updated_at_time
    if version.session_id is not None and version.updated_at_time is not None:
        return version.session_id, version.updated_at_time
    return version.raw


def _same(known: Version, version: Version) -> bool:
    """Compare the contents of two versions with one key."""
    if known is version or known == version:
        return True
    one, other = stored(known), stored(version)
    if one is None or other is None:
        return True  # they can't be named, so their key is their content
    return "" in {one.digest, other.digest} or one.digest == other.digest


_time: Callable[[Version], datetime | None] = attrgetter("updated_at_time")

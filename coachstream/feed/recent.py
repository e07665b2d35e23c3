"""The versions that came last, recognised if they come again."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain

from ..errors import MalformedSessionError
from ..wire.pages import Entry, sessions_page
from .versions import StoredVersion, Version, VersionSet, all_stored, times_of

RECENT = 500
"""How many of the versions read or settled last are remembered."""


class Batch:
    """Versions that came together: as they are, or as the bytes of a page that holds just them.

    Decoded sessions are not kept, and the bytes are decoded once more in the rare case that it
    matters: hundreds of decoded sessions that go on living displace everything else from the
    processor's caches, which makes reading a fifth slower.
    """

    __slots__ = ("_body", "_versions", "count", "malformed", "span", "times")

    def __init__(self, versions: Sequence[Version], body: bytes | None = None) -> None:
        """Keep the versions.

        Args:
            versions: The versions.
            body: A page that can be decoded and holds just these, if there is one.
        """
        self.count = len(versions)
        """How many there are."""
        self.malformed = 0 if body else [*map(type, versions)].count(MalformedSessionError)
        """How many of them can't be decoded."""
        self.times = times_of(versions)
        """The times of those that have one."""
        complete = len(self.times) == self.count > 0
        self.span = (min(self.times), max(self.times)) if complete else None
        """The lowest and the highest time; None: some have no time."""
        self._versions: Sequence[Version] = versions if body is None else ()
        self._body = body

    @property
    def versions(self) -> Sequence[Version]:
        """The versions, in order."""
        if self._body is not None:
            self._versions, self._body = sessions_page(self._body).entries, None
        return self._versions

    def may_share_with(self, other: "Batch") -> bool:
        """Return whether a version can be in both, by the times alone."""
        if self.span is None or other.span is None:
            return True
        return self.span[0] <= other.span[1] and other.span[0] <= self.span[1]


class RecentVersions:
    """The last `RECENT` versions or a few more, in order."""

    def __init__(self, versions: Sequence[Version] = ()) -> None:
        self._batches: deque[Batch] = deque()
        self._count = 0
        self.append(Batch(versions))

    def __iter__(self) -> Iterator[Version]:
        return chain.from_iterable(batch.versions for batch in self._batches)

    def append(self, batch: Batch) -> None:
        """Add versions after all others."""
        if not batch.count:
            return
        self._batches.append(batch)
        self._count += batch.count
        while self._count - self._batches[0].count >= RECENT:
            self._count -= self._batches.popleft().count

    def split(
        self, entries: tuple[Entry, ...], page: Batch
    ) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """Return the entries of a page that are not among the recent ones, and those that are."""
        alike = [batch for batch in self._batches if batch.may_share_with(page)]
        if not (entries and alike):
            return entries, ()
        versions = chain.from_iterable(batch.versions for batch in alike)
        # Without a digest, a version is known too little to be dropped wherever it comes.
        return VersionSet(one for one in versions if getattr(one, "digest", True)).split(entries)

    def stored(self) -> list[StoredVersion]:
        """Return what is stored of the last ones, and keep no more of them than that."""
        versions = all_stored(self)[-RECENT:]
        self._batches.clear()
        self._count = 0
        self.append(Batch(versions))
        return versions

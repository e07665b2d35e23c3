"""What happened in a run: a digest of all of it, the last of it in words, and what broke."""

import asyncio
from collections import Counter, defaultdict, deque
from hashlib import blake2b
from typing import Any

import msgspec

LAST = 60
"""Events that are told of a run that broke a promise."""


class Journal:
    """Takes note of everything, in order."""

    def __init__(self, last: int = LAST) -> None:
        self._digest = blake2b(digest_size=16)
        self._last: deque[tuple[Any, ...]] = deque(maxlen=last)
        self.faults: Counter[str] = Counter()
        """What went wrong on purpose, by kind."""
        self.subjects: Counter[str] = Counter()
        """Runs of each way into the library."""
        self.broken: dict[bytes, set[tuple[str, str]]] = defaultdict(set)
        """The versions that were served broken, by their JSON."""
        self.violations: list[str] = []
        self.delivered = 0
        self.requests = 0
        self.crashes = 0

    def note(self, what: str, *details: object) -> None:
        """Add to the digest, and to what may be told."""
        entry = round(asyncio.get_running_loop().time(), 6), what, *details
        self._digest.update(repr(entry).encode())
        self._last.append(entry)

    def fault(self, kind: str) -> None:
        """Count something that goes wrong on purpose."""
        self.faults[kind] += 1
        self.note("fault", kind)

    def violate(self, promise: str, what: object) -> None:
        """Take note of a broken promise."""
        self.violations.append(f"{promise}: {what}")
        self.note("VIOLATION", promise, str(what))

    @property
    def digest(self) -> str:
        """The same for the same seed, whatever the machine."""
        return self._digest.hexdigest()

    @property
    def trace(self) -> list[str]:
        """The last events, a line each."""
        return [
            f"{at:>14.3f}  {what:<10} {' '.join(map(str, rest))}" for at, what, *rest in self._last
        ]


def spelled_anew(raw: bytes) -> bytes:
    """Return JSON as this module spells it."""
    return msgspec.json.encode(msgspec.json.decode(raw))

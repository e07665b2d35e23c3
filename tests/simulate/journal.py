"""The record of a run: a digest of all its events, its last events, and broken promises."""

import asyncio
from collections import Counter, defaultdict, deque
from hashlib import blake2b
from typing import Any

import msgspec

TRACE_LENGTH = 60
"""Events printed for a run that broke a promise."""


class Journal:
    """Records all events of a run, in order."""

    def __init__(self, trace_length: int = TRACE_LENGTH) -> None:
        self._digest = blake2b(digest_size=16)
        self._trace: deque[tuple[Any, ...]] = deque(maxlen=trace_length)
        self.faults: Counter[str] = Counter()
        """Injected faults, by kind."""
        self.subjects: Counter[str] = Counter()
        """Runs of each subject, by its name."""
        self.malformed: dict[bytes, set[tuple[str, str]]] = defaultdict(set)
        """Versions that were served malformed, by their JSON."""
        self.violations: list[str] = []
        self.delivered = 0
        self.requests = 0
        self.crashes = 0

    def note(self, what: str, *details: object) -> None:
        """Add an event to the digest and to the trace."""
        entry = round(asyncio.get_running_loop().time(), 6), what, *details
        self._digest.update(repr(entry).encode())
        self._trace.append(entry)

    def fault(self, kind: str) -> None:
        """Count an injected fault."""
        self.faults[kind] += 1
        self.note("fault", kind)

    def violation(self, promise: str, what: object) -> None:
        """Record a broken promise."""
        self.violations.append(f"{promise}: {what}")
        self.note("VIOLATION", promise, str(what))

    @property
    def digest(self) -> str:
        """The same for the same seed on every machine."""
        return self._digest.hexdigest()

    @property
    def trace(self) -> list[str]:
        """The last events, one line each."""
        return [
            f"{at:>14.3f}  {what:<10} {' '.join(map(str, rest))}" for at, what, *rest in self._trace
        ]


def normalised(raw: bytes) -> bytes:
    """Return JSON in the encoding of the keys of `Journal.malformed`."""
    return msgspec.json.encode(msgspec.json.decode(raw))

"""What fuzzing begins with, and what it has found."""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from coachstream.assignments.endpoint import PATH as ASSIGNMENTS
from coachstream.checkpoints.encoding import encode
from coachstream.checkpoints.stored import Stored, seal
from coachstream.emulator import Emulator, World
from coachstream.feed.fetcher import PATH as STREAM
from tests.contracts.positions import full, position
from tests.fuzz import places, readers
from tests.support import payloads

FOLDER = Path(__file__).parent / "corpus"

TARGETS: Mapping[str, Callable[[bytes], str]] = {
    "wire": readers.check,
    "checkpoint": places.check,
}
"""What can be fuzzed: each raises when a promise is broken."""

KEPT = sorted(path for path in FOLDER.glob("*/*") if path.parent.name in TARGETS)
"""The committed inputs: each was interesting once, and some broke something."""


def seeds(target: str) -> list[bytes]:
    """Return what mutations begin with: what is real, and what was found."""
    found = [path.read_bytes() for path in KEPT if path.parent.name == target]
    return found + (_answers() if target == "wire" else _checkpoints())


def keep(target: str, data: bytes) -> Path:
    """Save an input for `KEPT`."""
    path = FOLDER / target / sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def _answers() -> list[bytes]:
    """Return bodies as the emulator sends them, and as they are documented."""
    world = World(3, drivers=5, sessions=40, changes_per_hour=0)
    emulator = Emulator(world, page_size=3)
    bodies = []
    for target in (
        f"{STREAM}?startTime=2020-01-01T00%3A00%3A00Z",
        f"{STREAM}?startTime=2020-01-01T00%3A00%3A00Z&includeCoachableEvents=true",
        STREAM,
        f"{ASSIGNMENTS}?includeExternalIds=true",
    ):
        answer, _ = emulator._api.answer(
            "GET", target, authorization="Bearer x", headers={}, at=float(len(bodies))
        )
        bodies.append(answer.body)
    sessions = [json.dumps(one).encode() for one in (payloads.SESSION, payloads.LEAST_SESSION)]
    return [
        *bodies,
        *sessions,
        payloads.page(payloads.SESSION, payloads.LEAST_SESSION),
        payloads.page(payloads.ASSIGNMENT),
        json.dumps({"data": payloads.CHANGE}).encode(),
        json.dumps(payloads.ERROR).encode(),
        b"Fri, 02 Jan 2026 03:04:35 GMT\nFri, 02 Jan 2026 03:04:05 GMT",
        b"0.40235",
    ]


def _checkpoints() -> list[bytes]:
    values = [encode(one) for one in (position(), position(None), full(0), full(3))]
    return [*values, *(seal(Stored(7, value)) for value in values)]

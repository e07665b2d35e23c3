"""The targets of fuzzing, and their inputs to start from."""

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
from tests.fuzz import checkpoint, wire
from tests.support import payloads

FOLDER = Path(__file__).parent / "corpus"

TARGETS: Mapping[str, Callable[[bytes], str]] = {
    "wire": wire.check,
    "checkpoint": checkpoint.check,
}
"""The checks by target; each raises an exception when a promise is broken."""

CORPUS = sorted(path for path in FOLDER.glob("*/*") if path.parent.name in TARGETS)
"""The committed inputs; some of them once broke a promise."""


def seeds(target: str) -> list[bytes]:
    """Return the inputs to mutate: real ones, and those of the corpus."""
    found = [path.read_bytes() for path in CORPUS if path.parent.name == target]
    return found + (_responses() if target == "wire" else _checkpoints())


def save(target: str, data: bytes) -> Path:
    """Save an input in the corpus."""
    path = FOLDER / target / sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def _responses() -> list[bytes]:
    """Return bodies as sent by the emulator and as documented."""
    world = World(3, drivers=5, sessions=40, changes_per_hour=0)
    emulator = Emulator(world, page_size=3)
    bodies = []
    for target in (
        f"{STREAM}?startTime=2020-01-01T00%3A00%3A00Z",
        f"{STREAM}?startTime=2020-01-01T00%3A00%3A00Z&includeCoachableEvents=true",
        STREAM,
        f"{ASSIGNMENTS}?includeExternalIds=true",
    ):
        answer, _ = emulator._api.respond(
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

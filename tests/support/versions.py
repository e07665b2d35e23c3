"""What a version is, seen from outside: its id, its time and its content.

Two versions may have one key, so a test that counts keys would not see that one of them is lost.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

from coachstream import CoachingSession, Position
from coachstream.emulator.history import Session, Version
from coachstream.emulator.render import session_bytes
from coachstream.wire import pages
from tests.support.emulated import key

Identity = tuple[str, ...]


def identity(session: CoachingSession) -> Identity:
    """Return what a delivered session is."""
    content = (
        session.session_status,
        session.session_note,
        session.assigned_coach_id,
        session.completed_coach_id,
        session.completed_at_time,
        [(one.id, one.note, one.updated_at_time) for one in session.behaviors],
    )
    return *key(session), repr(content)


@lru_cache(maxsize=100_000)
def decoded(version: Version) -> CoachingSession:
    """Return a version of the emulator's world as a client would receive it."""
    raw = session_bytes(version, {}, show_events=False, show_external_ids=False)
    session = pages.session(raw)
    assert isinstance(session, CoachingSession)
    return session


@lru_cache(maxsize=100_000)
def identity_of(version: Version) -> Identity:
    """Return what a version of the emulator's world is."""
    return identity(decoded(version))


def settled_in(
    position: Position,
    sessions: Mapping[str, Session],
    identify: Callable[[Version], Identity] = identity_of,
) -> set[Identity]:
    """Return the versions that a position says are settled beyond its cursor."""
    settled: set[Identity] = set()
    digests = position.digests or ("",) * len(position.settled)
    for (name, moment), digest in zip(position.settled, digests, strict=False):
        key = name, moment.isoformat(timespec="milliseconds")[:23] + "Z"
        versions = sessions[name].versions if name in sessions else []
        same_key = [one for one in versions if one.key == key]
        # One that could not be read has a digest of its own, and says nothing about the others.
        exactly = [one for one in same_key if digest in {"", decoded(one).content_digest}]
        settled.update(map(identify, exactly))
    return settled

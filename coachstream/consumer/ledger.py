"""Sessions that no handler could handle: stored in a ledger, listed, and replayed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from ..brief import brief_repr
from ..models import CoachingSession
from ..text import words

LONGEST_ERROR = 10_000
"""Characters that are stored of an error: some texts contain a whole response."""

Outcome = Literal["skipped", "parked"]

Handler = Callable[[CoachingSession], Awaitable[None]]
"""Handles one version of a session; when it returns, that version is settled."""


class FailedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a session that was settled without having been handled.

    Attributes:
        consumer: The ``name`` of the consumer.
        error: What the last attempt raised.
        attempts: Attempts in all.
        raw: The session's JSON: as received with ``keep_raw=True``, otherwise what was decoded of
            it.
        has_own_json: Whether ``raw`` is the JSON as received; a replay then passes it on as
            ``session.raw``.
    """

    consumer: str
    outcome: Outcome
    session_id: str | None
    updated_at_time: datetime | None
    error: str
    attempts: int
    failed_at: datetime
    raw: str
    has_own_json: bool = True

    @property
    def key(self) -> tuple[str, str]:
        """The consumer and the session's JSON, which identify the failure."""
        return self.consumer, self.raw

    def __rich_repr__(self) -> list[tuple[str, object]]:
        shown = ("consumer", "outcome", "session_id", "updated_at_time", "attempts", "failed_at")
        return [(name, getattr(self, name)) for name in shown]

    def __repr__(self) -> str:
        return brief_repr(type(self), self.__rich_repr__())


class Ledger(Protocol):
    """Stores failed sessions. When a method returns, its change is durable."""

    async def add(self, failed: FailedSession) -> None:
        """Store it; in the place of one with the same key, if there is one."""
        ...

    async def remove(self, failed: FailedSession) -> None:
        """Remove it."""
        ...

    def list(self) -> AsyncIterator[FailedSession]:
        """Yield what is stored, oldest first."""
        ...


class MemoryLedger:
    """A ledger for tests: it is gone with the process."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], FailedSession] = {}

    async def add(self, failed: FailedSession) -> None:
        self._kept[failed.key] = failed

    async def remove(self, failed: FailedSession) -> None:
        self._kept.pop(failed.key, None)

    async def list(self) -> AsyncIterator[FailedSession]:
        for failed in tuple(self._kept.values()):
            yield failed


def describe(error: Exception) -> str:
    """Return what a ledger stores of an error, whatever its text is."""
    description = f"{type(error).__name__}: {words(error)}"[:LONGEST_ERROR]
    return description.encode(errors="replace").decode()  # half a surrogate pair can't be stored

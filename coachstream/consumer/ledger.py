"""Sessions that no handler could handle: stored in a ledger, listed, and replayed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from ..arguments import async_function
from ..errors import MalformedSessionError
from ..models import CoachingSession
from ..wire import pages

Outcome = Literal["skipped", "parked"]

Handler = Callable[[CoachingSession], Awaitable[None]]
"""Handles one version of a session; when it returns, that version is settled."""


class FailedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a session that was settled without having been handled."""

    consumer: str
    """The ``name`` of the consumer."""
    outcome: Outcome
    session_id: str | None
    updated_at_time: datetime | None
    error: str
    """What the last attempt raised."""
    attempts: int
    """Attempts in all."""
    failed_at: datetime
    raw: str
    """The session's JSON: its own with ``keep_raw=True``, or else what was decoded of it."""

    @property
    def key(self) -> tuple[str, str]:
        """The consumer and the session's JSON, which identify the failure."""
        return self.consumer, self.raw


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


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a replay."""

    handled: int
    failed: int


async def replay(ledger: Ledger, handler: Handler, *, consumer: str | None = None) -> Replay:
    """Pass each failed session to a handler again; those it handles leave the ledger.

    Args:
        ledger: Where they are stored.
        handler: As for ``consume``. If it raises, the session stays in the ledger with that error.
        consumer: Only those of the consumer with this name.

    Raises:
        InvalidArgumentError: the handler is not an async function.
    """
    async_function("handler", handler)
    handled = failed = 0
    async for one in ledger.list():
        if consumer is not None and one.consumer != consumer:
            continue
        try:
            await handler(_session(one))
        except Exception as error:  # noqa: BLE001  # whatever it is, the ledger stores it
            failed += 1
            again = msgspec.structs.replace(one, error=describe(error), attempts=one.attempts + 1)
            await ledger.add(again)
        else:
            handled += 1
            await ledger.remove(one)
    return Replay(handled=handled, failed=failed)


def _session(failed: FailedSession) -> CoachingSession:
    session = pages.session(failed.raw.encode())
    if isinstance(session, MalformedSessionError):
        raise session
    return session


def describe(error: Exception) -> str:
    """Return what a ledger stores of an error."""
    return f"{type(error).__name__}: {error}"

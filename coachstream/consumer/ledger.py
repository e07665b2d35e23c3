"""Sessions that no handler could handle: stored in a ledger, listed, and replayed."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import anyio
import msgspec

from ..arguments import async_function
from ..errors import InvalidArgumentError, MalformedSessionError
from ..models import CoachingSession
from ..tasks import in_thread
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
        """Store it, in place of one with the same key."""
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


class _Line(msgspec.Struct, frozen=True):
    failed: FailedSession
    removed: bool = False


_line = msgspec.json.Decoder(_Line)


class FileLedger:
    """A ledger in one file, a line of JSON for each change; for one process at a time.

    A missing directory is created. Lines are only added. So a crash can cut off no more than the
    line that is being written, and `add` has not returned for that one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self._path = Path(path)
        except TypeError:
            raise InvalidArgumentError("path", f"needs a path, not {path!r}") from None
        if not self._path.name:
            raise InvalidArgumentError("path", f"needs the path of a file, not {str(path)!r}")
        self._lock = anyio.Lock()

    async def add(self, failed: FailedSession) -> None:
        await self._append(_Line(failed))

    async def remove(self, failed: FailedSession) -> None:
        await self._append(_Line(failed, removed=True))

    async def list(self) -> AsyncIterator[FailedSession]:
        for failed in await in_thread(self._stored):
            yield failed

    async def _append(self, line: _Line) -> None:
        async with self._lock:
            # Not cancelled in the middle, or two lines could run into each other.
            with anyio.CancelScope(shield=True):
                await in_thread(partial(self._write, msgspec.json.encode(line)))

    def _write(self, line: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            # A line that a crash cut off must not swallow this one.
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            file.write((b"\n" if torn else b"") + line + b"\n")
            file.flush()
            os.fsync(descriptor)

    def _stored(self) -> Sequence[FailedSession]:
        kept: dict[tuple[str, str], FailedSession] = {}
        for line in self._lines():
            kept.pop(line.failed.key, None)
            if not line.removed:
                kept[line.failed.key] = line.failed
        return list(kept.values())

    def _lines(self) -> Iterator[_Line]:
        if not self._path.exists():
            return
        for text in self._path.read_bytes().split(b"\n"):
            try:
                yield _line.decode(text)
            except msgspec.MsgspecError:
                continue  # cut off by a crash, before `add` had returned


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

"""Checkpoints in a SQLite file: the default choice of a store."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..errors import CorruptCheckpointError, InvalidArgumentError, StoreRefusedError
from ..tasks import ForkSafeLock
from .failures import Advice, advice_on
from .files import FileWorker, LockHeldError
from .store import Store
from .stored import Stored, check_revision

BUSY_SECONDS = 0.1
"""How long SQLite itself waits for a lock; the store asks again, and can be cancelled between."""

_TABLE = """
CREATE TABLE IF NOT EXISTS coachstream_checkpoints (
    name TEXT PRIMARY KEY NOT NULL,
    revision INTEGER NOT NULL,
    value TEXT NOT NULL
)
"""
_READ = "SELECT revision, CAST(value AS BLOB) FROM coachstream_checkpoints WHERE name = ?"
_FIRST = "INSERT INTO coachstream_checkpoints (revision, value, name) VALUES (?, ?, ?)"
_NEXT = "UPDATE coachstream_checkpoints SET revision = ?, value = ? WHERE name = ? AND revision = ?"

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NOT_ALLOWED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

# No other thread may open a file while it is created here: closing any descriptor of a file drops
# the locks that SQLite holds on it for the whole process.
_create_lock = ForkSafeLock()

_unusable: list[sqlite3.Connection] = []
"""Connections that are kept, because even closing them would hang."""

_Identity = tuple[int, int, int]
T = TypeVar("T")


class SqliteStore(Store):
    """Checkpoints as rows of the table ``coachstream_checkpoints`` in a SQLite file.

    A missing file is created, readable only by its owner. The file may contain other tables. A save
    returns when it is on the disk. Any number of processes may share the file, but not over a
    network file system. The store has one connection, used by one worker thread at a time; the
    event loop never waits for the disk. A lock that stays held, or a disk that hangs, ends in a
    `StoreError`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        if os.fspath(path) == "":
            raise InvalidArgumentError("path", "is empty")
        if os.fspath(path) == ":memory:":
            raise InvalidArgumentError("path", "a file is needed; for memory use a MemoryStore")
        self._path = Path(path)
        self._worker = FileWorker(repr(self))
        self._connection: sqlite3.Connection | None = None
        self._identity: _Identity | None = None
        self._working = False

    def __repr__(self) -> str:
        return f"SqliteStore({str(self._path)!r})"

    async def _load(self, name: str) -> Stored | None:
        return await self._worker.run(partial(self._with_connection, partial(_read, name=name)))

    async def _save(self, name: str, value: bytes, after: int) -> None:
        replace = partial(_replace, name=name, value=value, after=after)
        await self._worker.run(partial(self._with_connection, replace))

    async def _list(self) -> Iterable[str]:
        return await self._worker.run(partial(self._with_connection, _names))

    async def _delete(self, name: str) -> bool:
        return await self._worker.run(partial(self._with_connection, partial(_delete, name=name)))

    async def _close(self) -> None:
        await self._worker.run(self._disconnect)

    def _with_connection(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._check_open()  # again: it may have been closed meanwhile
        try:
            connection = self._connected()
            self._working = True
            return work(connection)
        except sqlite3.DatabaseError as error:
            # The low byte of the extended code is the primary error code.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _LOCKED:
                raise LockHeldError(self._path) from error
            if code in _DAMAGED:
                raise CorruptCheckpointError(
                    f"{self._path} is damaged or not a SQLite database ({error}): restore it "
                    "from a backup, or remove it to begin again from the start time"
                ) from error
            raise
        finally:
            self._working = False
            if self._closed:  # while this hung, so closing has not waited for it
                self._disconnect()

    def _advice(self, error: Exception) -> Advice:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _NOT_ALLOWED:
            return StoreRefusedError, "Let this process write to the file and to its directory"
        return advice_on(error)

    def _connected(self) -> sqlite3.Connection:
        """Return a connection of this process to the file that is at the path now.

        SQLite would go on writing to a file that was removed or replaced, and saves would be lost.
        """
        if self._connection is not None and self._identity != _identity(self._path):
            self._disconnect()
        if self._connection is None:
            self._connection = _connect(self._path)
            self._identity = _identity(self._path)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._working:
            # A fork copied it in the middle of work, with locks that nobody will release.
            _unusable.append(connection)
        else:
            connection.close()


def _identity(path: Path) -> _Identity | None:
    """Return what a connection belongs to: this file in this process."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return os.getpid(), found.st_dev, found.st_ino


def _connect(path: Path) -> sqlite3.Connection:
    with _create_lock:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    try:
        # With EXTRA a commit is on the disk in every journal mode; with FULL only under WAL.
        connection.execute("PRAGMA synchronous = EXTRA")
        if connection.execute("PRAGMA schema_version").fetchone() == (0,):
            _choose_wal(connection)
        with _transaction(connection):
            connection.execute(_TABLE)
    except BaseException:
        connection.close()
        raise
    return connection


def _choose_wal(connection: sqlite3.Connection) -> None:
    """Give a new file a write-ahead log; an existing file keeps its journal mode.

    A save then needs one sync of the disk instead of four, and readers do not block it. If the log
    is unavailable, or another process was first, saves are only slower.
    """
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE takes the write lock before the read that the write depends on.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _read(connection: sqlite3.Connection, *, name: str) -> Stored | None:
    row = connection.execute(_READ, (name,)).fetchone()
    return None if row is None else Stored(*row)


def _names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM coachstream_checkpoints")]


def _delete(connection: sqlite3.Connection, *, name: str) -> bool:
    with _transaction(connection):
        query = "DELETE FROM coachstream_checkpoints WHERE name = ?"
        return connection.execute(query, (name,)).rowcount > 0


def _replace(connection: sqlite3.Connection, *, name: str, value: bytes, after: int) -> None:
    with _transaction(connection):
        stored = _read(connection, name=name)
        check_revision(name, stored, after)
        if stored is None:
            connection.execute(_FIRST, (1, value.decode(), name))
        else:
            connection.execute(_NEXT, (after + 1, value.decode(), name, after))

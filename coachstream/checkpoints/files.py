"""Files that survive crashes and power cuts, and that several processes may share."""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from ..tasks import SerialThread

DISK_TIMEOUT = 30.0
"""Seconds that the disk may take before an error is raised."""
LOCK_TIMEOUT = 10.0
"""Seconds to wait while another process holds a lock."""
LOCK_PAUSE = 0.02
"""Seconds between two attempts to take a lock."""

_LOCKED_BYTE = 2**31 - 2
_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
"""What the system says of a lock that another process holds."""
_IN_USE_IS_FORBIDDEN = os.name == "nt"
"""Whether a file that another process has open can't be replaced, nor sometimes opened."""
_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}

T = TypeVar("T")


class LockHeldError(TimeoutError):
    """Another process, or another store in this one, holds the lock on a file."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is locked by another process")


class FileWorker:
    """Works on one store's files in a thread, one call after another, and waits for locks."""

    def __init__(self, what: str) -> None:
        self._what = f"an operation of {what}"
        self._thread = SerialThread()

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns; do it again for some time while it finds a lock held.

        Nothing waits for a lock inside the thread, so a cancellation ends the wait at once.

        Raises:
            LockHeldError: a lock was held all the time.
            TimeoutError: the disk took too long. The work may still be done later, or not; what
                is done next waits for that.
            Exception: what ``work`` raised.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LOCK_TIMEOUT
        while True:
            try:
                return await self._thread.run(work, what=self._what, within=DISK_TIMEOUT)
            except (LockHeldError, PermissionError) as error:
                passing = isinstance(error, LockHeldError) or _IN_USE_IS_FORBIDDEN
                if not passing or loop.time() >= deadline:
                    raise
            await asyncio.sleep(LOCK_PAUSE)  # noqa: TID251  # no clock of the user's is given here


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Open and lock the file at once, or raise; yield its descriptor. A missing one is created.

    Raises:
        LockHeldError: the lock is held, or the file has just been replaced.
    """
    binary = getattr(os, "O_BINARY", 0)  # on Windows, or line ends would change
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | binary, 0o600)
    try:
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno in _HELD:
                raise LockHeldError(path) from None
            raise
        try:
            if not _is_at(path, descriptor):
                raise LockHeldError(path)
            yield descriptor
        finally:
            # A child that was forked meanwhile has the descriptor, too: closing is not enough.
            _unlock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        import fcntl  # noqa: PLC0415  # POSIX only
    except ImportError:
        _lock_a_byte(descriptor, "LK_NBLCK")
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(descriptor: int) -> None:
    try:
        import fcntl  # noqa: PLC0415  # POSIX only
    except ImportError:
        _lock_a_byte(descriptor, "LK_UNLCK")
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _lock_a_byte(descriptor: int, how: str) -> None:
    """Lock or unlock a byte that no file has, because on Windows it can't be read meanwhile."""
    msvcrt = import_module("msvcrt")
    os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
    msvcrt.locking(descriptor, getattr(msvcrt, how), 1)
    os.lseek(descriptor, 0, os.SEEK_SET)


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether the open file is still the one at the path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def sibling(path: Path, what: str) -> Path:
    """Return the path of a file that belongs to this one."""
    return path.with_name(f"{path.name}.{what}")


def replace_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace the file with the data atomically, after the data is on the disk.

    `sync_directory` then makes it last.
    """
    new = sibling(path, "new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        new.chmod(mode)
        os.fsync(file.fileno())
    new.replace(path)


def sync_directory(directory: Path) -> None:
    """Write the directory's entries to the disk, where the file system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)

"""Checkpoints in files, one for each name."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path

from ..errors import CorruptCheckpointError, InvalidArgumentError
from .store import Store
from .stored import Stored, refuse_unless_after, seal, unseal
from .thread import in_thread

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_LONGEST_PLAIN = 120  # file systems take 255 bytes, and endings are added


class FileStore(Store):
    """Checkpoints as files in a directory, which is made if its parent is there.

    A save replaces the file in one step and returns when it is on the disk, so a crash leaves the
    old checkpoint or the new one. The one before stays as ``….previous``. Any number of processes
    may share the directory: a lock that dies with its holder lets one of them save at a time. Only
    the owner can read the files.

    For POSIX systems; on others `SqliteStore` does the same.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__()
        if not os.fspath(directory):
            raise InvalidArgumentError("directory", "is empty")
        if sys.platform == "win32":
            raise InvalidArgumentError("directory", "a FileStore needs POSIX; use a SqliteStore")
        self._directory = Path(directory)

    def __repr__(self) -> str:
        return f"FileStore({str(self._directory)!r})"

    async def _load(self, name: str) -> Stored | None:
        return await in_thread(partial(_read, self._directory / file_name(name), name))

    async def _save(self, name: str, value: bytes, after: int) -> None:
        await in_thread(partial(self._replace, name, value, after))

    def _replace(self, name: str, value: bytes, after: int) -> None:
        self._make_directory()
        path = self._directory / file_name(name)
        with _locked(_beside(path, "lock")):
            stored = _read(path, name)
            refuse_unless_after(name, stored, after)
            if stored is not None:
                _keep_previous(path, stored)
            _write(path, seal(Stored(after + 1, value)))
            _sync_directory(self._directory)

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(mode=0o700)
        except FileExistsError:
            return
        _sync_directory(self._directory.parent)


def file_name(name: str) -> str:
    """Return the name of the checkpoint's file: one for each name, on every file system.

    Capital letters are spelled out, because some file systems do not tell them from small ones,
    and so is whatever could lead out of the directory or hide the file.
    """
    plain = "".join(
        chr(byte) if byte in _PLAIN and (index or byte != ord(".")) else f"%{byte:02x}"
        for index, byte in enumerate(name.encode())
    )
    if len(plain) > _LONGEST_PLAIN:
        # No plain name has a "+", so a shortened one is never taken for another's.
        plain = f"{plain[:_LONGEST_PLAIN]}+{sha256(name.encode()).hexdigest()}"
    return f"{plain}.json"


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.name}.{what}")


def _read(path: Path, name: str) -> Stored | None:
    """Return what the file holds; None without a file."""
    try:
        return unseal(name, path.read_bytes())
    except FileNotFoundError:
        return None
    except CorruptCheckpointError as error:
        raise CorruptCheckpointError(
            f"checkpoint {name!r} is damaged ({error.__cause__}) in {path}. {_way_back(path, name)}"
        ) from error


def _way_back(path: Path, name: str) -> str:
    """Say what can be done without the file; nothing of it is done unasked."""
    previous = _beside(path, "previous")
    try:
        stored = unseal(name, previous.read_bytes())
    except (OSError, CorruptCheckpointError):
        return "No sound earlier one is beside it: remove it to begin again from the start time"
    return (
        f"The one before it, revision {stored.revision}, is whole: with no consumer running, move "
        f"{previous} over {path} to go on from there; what was finished since then comes again"
    )


def _keep_previous(path: Path, stored: Stored) -> None:
    """Keep the current file as the previous one. It stays current all the while."""
    previous = _beside(path, "previous")
    with suppress(FileNotFoundError):
        previous.unlink()
    try:
        os.link(path, previous)
    except OSError:  # a file system without links
        _write(previous, seal(stored))


def _write(path: Path, data: bytes) -> None:
    """Put the data in the file's place, on the disk, in one step."""
    new = _beside(path, "new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _sync_directory(directory: Path) -> None:
    """Have the disk remember which files there are."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of that file, which is never removed: a new one would be another lock."""
    import fcntl  # noqa: PLC0415  # not everywhere, and the package must load there

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # which lets go of the lock, as the process's end would

"""Checkpoints in files, one for each name."""

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

from ..errors import CorruptCheckpointError, InvalidArgumentError
from .files import FileWorker, locked, replace_file, sibling, sync_directory
from .store import Store
from .stored import Stored, check_revision, seal, unseal, unsealed_name

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_SUFFIX = ".json"
_LONGEST_PLAIN = 120  # file systems allow 255 bytes, and suffixes are added


class FileStore(Store):
    """Checkpoints as files in a directory. A missing directory is created; its parent is not.

    A save replaces the file atomically and returns when it is on the disk, so a crash leaves the
    old checkpoint or the new one. The previous checkpoint is stored as ``….previous``. Any number
    of processes may share the directory: a lock lets one of them save at a time, and is released
    if that process dies. Only the owner can read the files. A lock that stays held, or a disk that
    hangs, ends in a `StoreError`.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__()
        if not os.fspath(directory):
            raise InvalidArgumentError("directory", "is empty")
        self._directory = Path(directory)
        self._worker = FileWorker(repr(self))

    def __repr__(self) -> str:
        return f"FileStore({str(self._directory)!r})"

    async def _load(self, name: str) -> Stored | None:
        return await self._worker.run(partial(_read, self._directory / file_name(name), name))

    async def _save(self, name: str, value: bytes, after: int) -> None:
        await self._worker.run(partial(self._replace, name, value, after))

    async def _list(self) -> Iterable[str]:
        return await self._worker.run(self._names)

    async def _delete(self, name: str) -> bool:
        return await self._worker.run(partial(self._remove, self._directory / file_name(name)))

    def _names(self) -> list[str]:
        try:
            paths = list(self._directory.iterdir())
        except FileNotFoundError:
            return []
        return [name for name in map(_name_of, paths) if name is not None]

    def _remove(self, path: Path) -> bool:
        if not self._directory.is_dir():
            return False
        with locked(sibling(path, "lock")):
            found = path.exists()
            for one in (sibling(path, "new"), sibling(path, "previous"), path):
                one.unlink(missing_ok=True)
            sync_directory(self._directory)
            return found

    def _replace(self, name: str, value: bytes, after: int) -> None:
        self._make_directory()
        path = self._directory / file_name(name)
        with locked(sibling(path, "lock")):
            stored = _read(path, name)
            check_revision(name, stored, after)
            if stored is not None:
                _store_previous(path, stored, name)
            replace_file(path, _sealed(Stored(after + 1, value), name))
            sync_directory(self._directory)

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(mode=0o700)
        except FileExistsError:
            return
        sync_directory(self._directory.parent)


def file_name(name: str) -> str:
    """Return the checkpoint's file name, which is unique on every file system.

    Capital letters are escaped, because some file systems ignore case. So is everything that could
    lead out of the directory or hide the file.
    """
    plain = "".join(
        chr(byte) if byte in _PLAIN and (index or byte != ord(".")) else f"%{byte:02x}"
        for index, byte in enumerate(name.encode())
    )
    if len(plain) > _LONGEST_PLAIN:
        # No plain name has a "+", so a shortened one can't equal another's.
        plain = f"{plain[:_LONGEST_PLAIN]}+{sha256(name.encode()).hexdigest()}"
    return f"{plain}{_SUFFIX}"


def _name_of(path: Path) -> str | None:
    """Reverse `file_name`; return None if the file is not a checkpoint.

    Files of earlier releases do not have the name that theirs was shortened from.
    """
    if not path.name.endswith(_SUFFIX):
        return None
    plain = path.name.removesuffix(_SUFFIX)
    name = unsealed_name(path.read_bytes()) if "+" in plain else unquote(plain)
    return name if name and file_name(name) == path.name else None


def _read(path: Path, name: str) -> Stored | None:
    """Return the content of the file, or None if there is no file."""
    try:
        return unseal(name, path.read_bytes())
    except FileNotFoundError:
        return None
    except CorruptCheckpointError as error:
        advice = _recovery_advice(path, name)
        raise CorruptCheckpointError(f"{path}: {error}. {advice}") from error


def _recovery_advice(path: Path, name: str) -> str:
    """Explain how to go on without the file. Only the user may decide to do so."""
    previous = sibling(path, "previous")
    try:
        stored = unseal(name, previous.read_bytes())
    except (OSError, CorruptCheckpointError):
        return "There is no usable previous one"
    return (
        f"The previous one, revision {stored.revision}, is intact: with no consumer running, move "
        f"{previous} over {path} to go on from there; what was settled since is delivered again"
    )


def _sealed(stored: Stored, name: str) -> bytes:
    """Return the content of the file, with the name if that of the file is shortened."""
    return seal(stored, name=name if "+" in file_name(name) else None)


def _store_previous(path: Path, stored: Stored, name: str) -> None:
    """Store the current file as the previous one, too. It stays in place meanwhile."""
    previous = sibling(path, "previous")
    with suppress(FileNotFoundError):
        previous.unlink()
    try:
        os.link(path, previous)
    except OSError:  # a file system without hard links
        replace_file(previous, _sealed(stored, name))

"""A ledger of failed sessions in one file."""

import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from ..checkpoints.files import FileWorker, locked, replace_file, sync_directory
from ..errors import CorruptLedgerError, InvalidArgumentError
from .ledger import FailedSession

SMALL = 64 * 1024
"""Bytes out of date for which no file is rewritten."""

NAMED = 20
"""How many damaged lines an error names."""


class _Line(msgspec.Struct, frozen=True):
    failed: FailedSession
    removed: bool = False


_line = msgspec.json.Decoder(_Line)


class FileLedger:
    """A ledger in one file, a line of JSON for each change. Any number of processes may share it.

    Lines are added at the end. So a crash can damage only the line that is being written, and `add`
    has not returned for that one. A file that is mostly out of date is rewritten, where it can be
    replaced. A missing directory is created. Only the owner can read a new file. On Windows it is
    never rewritten.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self._path = Path(path)
        except TypeError:
            raise InvalidArgumentError("path", f"needs a path, not {path!r}") from None
        if not self._path.name:
            raise InvalidArgumentError("path", f"needs the path of a file, not {str(path)!r}")
        self._worker = FileWorker(repr(self))
        self._is_listed = False  # in its directory, on the disk
        self._may_compact = True  # whether the last attempt succeeded
        self._check_at = 0  # the size at which the file may be mostly out of date

    def __repr__(self) -> str:
        return f"FileLedger({str(self._path)!r})"

    async def add(self, failed: FailedSession) -> None:
        await self._worker.run(partial(self._append, _Line(failed)))

    async def remove(self, failed: FailedSession) -> None:
        await self._worker.run(partial(self._append, _Line(failed, removed=True)))

    async def list(self) -> AsyncIterator[FailedSession]:
        """Yield what is stored, oldest first. A session that fails again keeps its place.

        Raises:
            CorruptLedgerError: lines are damaged; nothing was yielded.
        """
        for failed in await self._worker.run(self._stored):
            yield failed

    def _append(self, line: _Line) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self._path) as descriptor, os.fdopen(descriptor, "r+b", closefd=False) as file:
            new = not file.seek(0, os.SEEK_END)
            file.write(_mended_end(file) + _encoded(line))
            file.flush()
            os.fsync(descriptor)
            if new or not self._is_listed:
                sync_directory(self._path.resolve().parent)
                self._is_listed = True
            size = file.tell()
            # Whether the last one has been removed is only worth a look at a file that is small.
            may_be_empty = line.removed and size <= 2 * SMALL and self._may_compact
            if size >= self._check_at or may_be_empty:
                self._check_at, self._may_compact = size + SMALL, False
                with suppress(OSError):  # the line is on the disk; the file stays longer, no more
                    self._compact()
                    self._may_compact = True

    def _compact(self) -> None:
        """Rewrite the file if it is mostly or all out of date; note when to look again."""
        path = self._path.resolve()
        content = path.read_bytes()
        stored, damaged = _parsed(content)
        needed = b"".join(_encoded(_Line(failed)) for failed in stored)
        stale = len(content) - len(needed)
        too_stale = stale > (max(SMALL, len(needed)) if stored else 0)
        if too_stale and not damaged and _may_replace(path):
            replace_file(path, needed, mode=stat.S_IMODE(path.stat().st_mode))
            sync_directory(path.parent)
            content, stale = needed, 0
        # A line that removes another makes both stale, and so reaches the balance fastest.
        self._check_at = len(content) + max(SMALL, (len(needed) - stale) // 3)

    def _stored(self) -> Sequence[FailedSession]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        stored, damaged = _parsed(content)
        if damaged:
            lines = ", ".join(damaged[:NAMED]) + (", …" if len(damaged) > NAMED else "")
            raise CorruptLedgerError(
                f"{self._path} is damaged in {lines}: repair or remove these lines; the others are "
                "intact"
            )
        return stored


def _parsed(content: bytes) -> tuple[Sequence[FailedSession], Sequence[str]]:
    """Return what the lines add up to, and which of them are damaged."""
    stored: dict[tuple[str, str], FailedSession] = {}
    damaged = []
    *whole, last = content.split(b"\n")
    for number, text in enumerate([*whole, last] if _decoded(last) else whole, 1):
        if not text:
            continue
        line = _decoded(text)
        if line is None:
            damaged.append(f"line {number}")
        elif line.removed:
            stored.pop(line.failed.key, None)
        else:
            stored[line.failed.key] = line.failed
    return list(stored.values()), damaged


def _mended_end(file: BinaryIO) -> bytes:
    """Cut off a last line that a crash has torn; return what must come before the next line."""
    content_end = file.seek(0, os.SEEK_END)
    file.seek(max(0, content_end - 1))
    if file.read() in {b"", b"\n"}:
        return b""
    file.seek(0)
    last = file.read().rpartition(b"\n")[2]
    if _decoded(last):
        return b"\n"
    file.truncate(content_end - len(last))
    file.seek(0, os.SEEK_END)
    return b""


def _decoded(text: bytes) -> _Line | None:
    try:
        return _line.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _encoded(line: _Line) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def _may_replace(path: Path) -> bool:
    """Return whether a new file would be as the old one: not on Windows, nor another user's."""
    return hasattr(os, "geteuid") and path.stat().st_uid == os.geteuid()

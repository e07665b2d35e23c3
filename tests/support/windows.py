"""Takes away what Windows does not have, and adds what it has instead."""

import asyncio
import errno
import fcntl
import os
import select
import struct
import sys
from types import ModuleType
from typing import Any, NoReturn

import pytest

from coachstream.checkpoints import files

ABSENT: tuple[tuple[Any, str], ...] = (
    (os, "O_DIRECTORY"),
    (os, "geteuid"),
    (os, "getuid"),
    (select, "poll"),
    (select, "PIPE_BUF"),
)


def locking(descriptor: int, mode: int, count: int) -> None:
    """Lock or unlock bytes from the current position on, as ``msvcrt.locking`` does.

    The lock belongs to the open file and not to the process.
    """
    kind = fcntl.F_UNLCK if mode == 0 else fcntl.F_WRLCK
    start = os.lseek(descriptor, 0, os.SEEK_CUR)
    lock = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, count, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


def take_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process as like one on Windows as a test can."""
    msvcrt: Any = ModuleType("msvcrt")
    msvcrt.locking, msvcrt.LK_NBLCK, msvcrt.LK_UNLCK = locking, 2, 0
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    for name in ("fcntl", "pwd"):
        monkeypatch.setitem(sys.modules, name, None)
    for module, name in ABSENT:
        monkeypatch.delattr(module, name)
    monkeypatch.setattr(files, "_IN_USE_IS_FORBIDDEN", True)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", _refuse)


def _refuse(*_: object) -> NoReturn:
    raise NotImplementedError

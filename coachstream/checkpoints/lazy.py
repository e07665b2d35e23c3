"""Connections that are opened on first use, one for each event loop."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


_inherited: list[object] = []
"""The connections of the process that forked this one. They are never closed here: a driver would
take them from the parent's event loop, which waits for them through a file that both share."""


class Lazy(Generic[T]):
    """A connection made on first use, and made again when it is no longer ``usable``.

    A connection works only on the event loop that made it. So each loop has its own, and one whose
    loop was closed, or that belongs to the process that forked this one, is let go. If making it
    fails, the next use tries again.
    """

    def __init__(
        self, make: Callable[[], Awaitable[T]], *, usable: Callable[[T], bool] = lambda _: True
    ) -> None:
        self._make = make
        self._usable = usable
        self._slots: dict[asyncio.AbstractEventLoop, _Slot[T]] = {}
        self._process = os.getpid()

    async def get(self) -> T:
        """Return this loop's connection; make it first if necessary."""
        slot = self._slot()
        async with slot.lock:
            if slot.made is None or not self._usable(slot.made):
                slot.made = await self._make()
            return slot.made

    async def take(self) -> T | None:
        """Remove the connection and return it, for the caller to close; None if there is none."""
        slot = self._slot()
        async with slot.lock:
            made, slot.made = slot.made, None
            return made

    def _slot(self) -> "_Slot[T]":
        if self._process != os.getpid():
            _inherited.append(self._slots)
            self._slots, self._process = {}, os.getpid()
        for loop in [one for one in self._slots if one.is_closed()]:
            del self._slots[loop]
        return self._slots.setdefault(asyncio.get_running_loop(), _Slot())


class _Slot(Generic[T]):
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.made: T | None = None

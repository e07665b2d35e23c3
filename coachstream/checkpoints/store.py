"""The base class of the stores in this package."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import anyio

from ..errors import ClosedError
from ..models import Position
from ..tasks import close_after
from .encoding import Checkpoint, encode
from .names import checked_name
from .stored import Stored, restore

CLOSING = 5.0
"""Seconds that a store may take to close what it opened."""


class Store(ABC):
    """A `CheckpointStore` that can be closed; ``async with`` closes it at the end.

    Creating one does no I/O: files, connections and tables are opened or created on first use. Any
    event loop may use it, several at once, and so may a forked process: each gets connections of
    its own, unless they were passed in. Close a store before its loop ends.
    Closing leaves open what was passed in (a mapping, a pool, a client).
    """

    def __init__(self) -> None:
        self._closed = False

    async def load(self, name: str) -> Checkpoint | None:
        self._check_open()
        return restore(name, await self._load(checked_name(name)))

    async def save(self, name: str, position: Position, *, after: int) -> Checkpoint:
        self._check_open()
        await self._save(checked_name(name), encode(position), after)
        return Checkpoint(position=position, revision=after + 1)

    async def aclose(self) -> None:
        """Close what the store opened. Closing twice is harmless.

        Raises:
            TimeoutError: something hangs, and is left behind.
        """
        if self._closed:
            return
        self._closed = True
        with anyio.move_on_after(CLOSING) as scope:
            await self._close()
        if scope.cancelled_caught:
            raise TimeoutError(f"{self!r} did not close within {CLOSING:g} s")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await close_after(error, self.aclose, "the store")

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the checkpoint store is closed")

    @abstractmethod
    async def _load(self, name: str) -> Stored | None:
        """Return what is stored for the name."""

    @abstractmethod
    async def _save(self, name: str, value: bytes, after: int) -> None:
        """Store ``value`` as revision ``after + 1``, if `check_revision` allows it."""

    async def _close(self) -> None:
        """Close what was opened. Called once."""
        return

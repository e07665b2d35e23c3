"""The base class of the stores in this package."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import anyio

from ..errors import ClosedError, CoachStreamError
from ..models import Position
from ..tasks import close_after
from .encoding import Checkpoint, encode
from .failures import BUGS, Advice, advice_on, store_error
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

    What a driver raises becomes a `StoreError`, and a `StoreRefusedError` if waiting does not help.
    """

    def __init__(self) -> None:
        self._closed = False

    async def load(self, name: str) -> Checkpoint | None:
        self._check_open()
        checked_name(name)
        with self._explained(f"loading {name!r}"):
            stored = await self._load(name)
        return restore(name, stored)

    async def save(self, name: str, position: Position, *, after: int) -> Checkpoint:
        self._check_open()
        checked_name(name)
        with self._explained(f"saving {name!r}"):
            await self._save(name, encode(position), after)
        return Checkpoint(position=position, revision=after + 1)

    async def list(self) -> Sequence[str]:
        """Return the names that have a checkpoint, in alphabetical order."""
        self._check_open()
        with self._explained("listing"):
            return sorted(await self._list())

    async def delete(self, name: str) -> bool:
        """Forget the checkpoint of ``name``, even if it is damaged; return whether there was one.

        A consumer that runs with this name is stopped by its next save.
        """
        self._check_open()
        checked_name(name)
        with self._explained(f"deleting {name!r}"):
            return await self._delete(name)

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

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (CoachStreamError, *BUGS):
            raise
        except Exception as error:
            raise store_error(repr(self), doing, error, self._advice(error)) from error

    def _advice(self, error: Exception) -> Advice:
        """Return what to do about an error of the driver."""
        return advice_on(error)

    @abstractmethod
    async def _load(self, name: str) -> Stored | None:
        """Return what is stored for the name."""

    @abstractmethod
    async def _save(self, name: str, value: bytes, after: int) -> None:
        """Store ``value`` as revision ``after + 1``, if `check_revision` allows it."""

    @abstractmethod
    async def _list(self) -> Iterable[str]:
        """Return the names that have a checkpoint."""

    @abstractmethod
    async def _delete(self, name: str) -> bool:
        """Remove what is stored for the name; return whether there was anything."""

    async def _close(self) -> None:
        """Close what was opened. Called once."""
        return

"""What the stores of this package have in common."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from ..errors import ClosedError
from ..models import Position
from .encoding import Checkpoint, encode
from .names import checked_name
from .stored import Stored, restore


class Store(ABC):
    """A `CheckpointStore` that can be closed; ``async with`` closes it at the end.

    Making one does no I/O: files, connections and tables are opened, or made, at first use.
    Closing leaves alone what was given (a mapping, a pool, a client).
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
        """Let go of what the store opened. Twice is harmless."""
        if not self._closed:
            self._closed = True
            await self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the checkpoint store is closed")

    @abstractmethod
    async def _load(self, name: str) -> Stored | None:
        """Return what is stored for the name."""

    @abstractmethod
    async def _save(self, name: str, value: bytes, after: int) -> None:
        """Store ``value`` as revision ``after + 1``, if `refuse_unless_after` lets it pass."""

    async def _close(self) -> None:
        """Let go of what was opened. Called once."""
        return

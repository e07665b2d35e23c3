"""A connection that is opened on first use."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lazy(Generic[T]):
    """A value made on first use, and made again when it is no longer ``usable``.

    If making it fails, the next use tries again.
    """

    def __init__(
        self, make: Callable[[], Awaitable[T]], *, usable: Callable[[T], bool] = lambda _: True
    ) -> None:
        self._make = make
        self._usable = usable
        self._lock = asyncio.Lock()
        self._made: T | None = None

    async def get(self) -> T:
        """Return the value; make it first if necessary."""
        async with self._lock:
            if self._made is None or not self._usable(self._made):
                self._made = await self._make()
            return self._made

    async def take(self) -> T | None:
        """Remove the value and return it, for the caller to close; None if there is none."""
        async with self._lock:
            made, self._made = self._made, None
            return made

"""A connection that is made when it is first needed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lazy(Generic[T]):
    """Something made at first use, and again once it is no longer ``usable``.

    If making it fails, the next use tries again.
    """

    def __init__(
        self, make: Callable[[], Awaitable[T]], *, usable: Callable[[T], bool] = lambda _: True
    ) -> None:
        self._make = make
        self._usable = usable
        self._turn = asyncio.Lock()
        self._made: T | None = None

    async def get(self) -> T:
        """Return it, made by now."""
        async with self._turn:
            if self._made is None or not self._usable(self._made):
                self._made = await self._make()
            return self._made

    async def take(self) -> T | None:
        """Return it, to be closed; None if it was never made."""
        async with self._turn:
            made, self._made = self._made, None
            return made

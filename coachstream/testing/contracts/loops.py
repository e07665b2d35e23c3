"""Runs each test of the suites on an event loop of its own, whatever plugins are installed."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Protocol, TypeVar, cast

LIMIT = 120.0
"""Seconds after which a test fails that would otherwise wait for ever."""

T = TypeVar("T")

Opener = Callable[[], Awaitable[T]]
"""Opens one more on the same storage; it is closed at the end of the test."""


class _Closable(Protocol):
    async def aclose(self) -> None: ...


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Turn an async test into an ordinary one, and each of its fixtures into an `Opener`."""

    @functools.wraps(test)
    def run(self: object, **makers: Callable[[], object]) -> None:
        asyncio.run(_with_openers(functools.partial(test, self), makers))

    return run


async def _with_openers(
    test: Callable[..., Coroutine[Any, Any, None]], makers: dict[str, Callable[[], object]]
) -> None:
    async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
        await test(**{name: functools.partial(_open, stack, make) for name, make in makers.items()})


async def _open(stack: AsyncExitStack, make: Callable[[], object]) -> object:
    made = make()
    if hasattr(made, "__aenter__"):
        return await stack.enter_async_context(cast("AbstractAsyncContextManager[object]", made))
    if hasattr(made, "aclose"):
        stack.push_async_callback(cast("_Closable", made).aclose)
    return made

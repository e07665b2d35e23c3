"""An emulator that runs in a thread of its own."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypeVar, cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

from coachstream.emulator import Emulator, Fault, Requests, World

from .fast_forward import on_virtual_time
from .waiting import WITHIN, block_until

P = ParamSpec("P")
T = TypeVar("T")


class EmulatorThread:
    """Runs an emulator in a thread, for any test: async under any plugin, or not async.

    ::

        with EmulatorThread(Emulator(quiet_world())) as samsara:
            ...  # point a client, a service or another process at samsara.url

    It has the emulator's properties. It runs in real time; on a `FastForwardLoop`, start an
    `Emulator` instead.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._running = ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            stack.enter_context(self._portal.wrap_async_context_manager(self._emulator))
            self._running = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running.close()
        self._portal = None

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash.

        Raises:
            RuntimeError: it is not running, or this is called on a `FastForwardLoop`.
        """
        if on_virtual_time():
            raise RuntimeError(
                "this emulator runs in real time: on a FastForwardLoop, start another one "
                "with `async with Emulator(...)`"
            )
        return self._emulator.url

    @property
    def requests(self) -> Requests:
        """The requests so far, oldest first."""
        return self._emulator.requests

    @property
    def faults(self) -> deque[Fault]:
        """The faults that are left; a test may add some at any time."""
        return self._emulator.faults

    @property
    def world(self) -> World:
        """The world. Calls to it run in the emulator's thread, between requests."""
        return cast("World", _ThreadProxy(self._call, self._emulator.world))

    @property
    def now(self) -> datetime:
        """The world's time."""
        return self._call(lambda: self._emulator.now)

    def advance(self, ahead: timedelta) -> None:
        """Move the world's time ahead at once, and apply every change due by then."""
        self._call(self._emulator.advance, ahead)

    def wait_until(self, condition: Callable[[], object], *, within: float = WITHIN) -> None:
        """Block until ``condition()`` is true, such as ``lambda: samsara.requests``.

        For tests that are not async, whose service runs in a thread or process of its own. In an
        async test, use ``await coachstream.testing.wait_until(…)``.

        Raises:
            AssertionError: it is not true within so many seconds.
            RuntimeError: an event loop is running in this thread, and would be blocked.
        """
        if asyncio._get_running_loop() is not None:  # noqa: SLF001  # the public one raises
            raise RuntimeError("in an async test, `await coachstream.testing.wait_until(…)`")
        block_until(condition, within=within)

    def _call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        # Once it has stopped, no other thread uses the world.
        if self._portal is None:
            return work(*args, **kwargs)
        return self._portal.call(partial(work, *args, **kwargs))


class _ThreadProxy:
    """A proxy for an object of another thread: it runs every access there."""

    def __init__(self, call: Callable[..., object], thing: object) -> None:
        self._call = call
        self._thing = thing

    def __getattr__(self, name: str) -> object:
        found = self._call(getattr, self._thing, name)
        return partial(self._call, found) if callable(found) else found

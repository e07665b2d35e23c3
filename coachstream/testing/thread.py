"""An emulator that runs beside the test, in a thread of its own."""

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypeVar, cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

from coachstream.emulator import Emulator, Fault, Requests, World

from .fast_forward import time_flies

P = ParamSpec("P")
T = TypeVar("T")


class EmulatorThread:
    """Runs an emulator in a thread, for tests of any kind: async under any plugin, or not at all.

    ::

        with EmulatorThread(Emulator(quiet_world())) as samsara:
            ...  # point a client, a service or another process at samsara.url

    It shows what the emulator shows. Time is real here; for `FastForwardLoop`, start an `Emulator`
    on that loop instead.
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
        """Where it listens, without a slash at the end.

        Raises:
            RuntimeError: it does not run, or the loop that asks is a `FastForwardLoop`.
        """
        if time_flies():
            raise RuntimeError(
                "this emulator lives on real time: on a FastForwardLoop, start one of its own "
                "there, with `async with Emulator(...)`"
            )
        return self._emulator.url

    @property
    def requests(self) -> Requests:
        """The requests so far, oldest first."""
        return self._emulator.requests

    @property
    def faults(self) -> deque[Fault]:
        """What is still to go wrong; may be added to at any time."""
        return self._emulator.faults

    @property
    def world(self) -> World:
        """The world; what is asked of it is done in the emulator's thread, between requests."""
        return cast("World", _Over(self._call, self._emulator.world))

    @property
    def now(self) -> datetime:
        """The world's time."""
        return self._call(lambda: self._emulator.now)

    def advance(self, ahead: timedelta) -> None:
        """Move the world's time ahead at once; what would have happened meanwhile, happens."""
        self._call(self._emulator.advance, ahead)

    def _call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        # Lazy it has stopped there is no other thread to be careful of.
        if self._portal is None:
            return work(*args, **kwargs)
        return self._portal.call(partial(work, *args, **kwargs))


class _Over:
    """An object of another thread: what is asked of it is asked there."""

    def __init__(self, call: Callable[..., object], thing: object) -> None:
        self._call = call
        self._thing = thing

    def __getattr__(self, name: str) -> object:
        found = self._call(getattr, self._thing, name)
        return partial(self._call, found) if callable(found) else found

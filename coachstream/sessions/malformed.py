"""Lets the user settle sessions that can't be read."""

from collections.abc import Awaitable, Callable
from copy import copy
from functools import partial

import anyio

from ..errors import MalformedSessionError
from ..tasks import Runtime, supervised
from ..telemetry import SessionMalformed

OnMalformed = Callable[[MalformedSessionError], Awaitable[None]]
"""Settles a session that can't be read: when it returns, that session is not delivered again."""


class MalformedSettler:
    """Calls ``on_malformed``, for one loop at a time, until it is closed."""

    def __init__(self, on_malformed: OnMalformed | None, runtime: Runtime) -> None:
        self._on_malformed = on_malformed
        self._runtime = runtime
        self._call: anyio.CancelScope | None = None  # around the last one; none before a loop runs

    async def settle(self, error: MalformedSessionError) -> None:
        """Let ``on_malformed`` settle it, or else raise it, each time it is met.

        When this is closed meanwhile, it returns without having settled anything.
        """
        self._runtime.observe(SessionMalformed(error=error))
        if self._on_malformed is None:
            # A loop that catches it and goes on must not keep the event loop from other work.
            await self._runtime.clock.sleep(0)
            raise copy(error)  # each raise makes the traceback of the same error longer
        with anyio.CancelScope() as self._call:
            await supervised(partial(self._on_malformed, error), "on_malformed", self._runtime)

    def close(self) -> None:
        """Cancel the call that is running, as supervised calls are: once, with time to clean up."""
        if self._call is not None:
            self._call.cancel()

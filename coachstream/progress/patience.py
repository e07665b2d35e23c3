"""Asks a store or a ledger again while it fails."""

import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from ..errors import CoachStreamError
from ..retry import RetryPolicy
from ..tasks import Runtime

HOPELESS = (
    AssertionError,
    AttributeError,
    FileNotFoundError,
    ImportError,
    IsADirectoryError,
    NameError,
    NotADirectoryError,
    NotImplementedError,
    PermissionError,
    TypeError,
)
"""What a ledger raises that time does not mend: it, or what it was given, is wrong."""

T = TypeVar("T")


class Asking:
    """Asks again what failed, as a server is asked: for ever, or as long as the policy allows."""

    def __init__(self, retry: RetryPolicy, runtime: Runtime) -> None:
        self._retry = retry
        self._patience = retry.for_a_stream()
        self._runtime = runtime
        self._waits: set[anyio.CancelScope] = set()
        self._stopped = False

    async def ask(
        self, call: Callable[[], Awaitable[T]], report: Callable[[int, float, Exception], None]
    ) -> T:
        """Return what the call returns; while it fails, wait and call again.

        Args:
            call: What to call.
            report: Called before each wait, with the number of calls, the wait and the error.

        Raises:
            Exception: what the call raised, if that can't mend, or patience or all asking is over.
        """
        clock = self._runtime.clock
        failing_since: float | None = None
        for attempt in itertools.count(1):
            try:
                return await call()
            except Exception as error:
                now = clock.monotonic()
                failing_since = now if failing_since is None else failing_since
                delay = self._retry.delay(attempt, self._runtime.random)
                failing_for = now + delay - failing_since
                is_over = self._patience.is_over(attempt=attempt, failing_for=failing_for)
                if _is_hopeless(error) or is_over or self._stopped:
                    raise
                report(attempt, delay, error)
                await self._wait(delay)
                if self._stopped:
                    raise
        raise AssertionError("counting never ends")

    async def _wait(self, seconds: float) -> None:
        with anyio.CancelScope() as wait:
            self._waits.add(wait)
            try:
                await self._runtime.clock.sleep(seconds)
            finally:
                self._waits.discard(wait)

    def stop(self) -> None:
        """Ask no more, and let nobody wait any longer."""
        self._stopped = True
        for wait in tuple(self._waits):
            wait.cancel()


def _is_hopeless(error: Exception) -> bool:
    """Return whether time does not mend it, so that it is raised at once."""
    if isinstance(error, CoachStreamError):
        return not error.transient
    return isinstance(error, HOPELESS)

"""Waits that notice when the event loop stood still.

Nothing can run while the loop is blocked, and so nothing can say so; but afterwards, whoever was to
wake up meanwhile wakes up late. No timer is needed for that beside the waits there are anyway.
"""

from ..clock import Clock
from ..telemetry import LoopBlocked, Observer

WORTH_TELLING = 0.5
"""Seconds by which a wait must have been too long to be told of."""


async def sleep(seconds: float, clock: Clock, observer: Observer) -> None:
    """Wait for ``seconds``, and tell if it became much more."""
    began = clock.monotonic()
    await clock.sleep(seconds)
    lag = clock.monotonic() - began - seconds
    if lag > WORTH_TELLING:
        observer(LoopBlocked(lag=lag))

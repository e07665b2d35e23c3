"""Shared by all parts: clock, random, observer, background tasks, bounded waits for user code.

It may import ``errors``, ``clock`` and ``telemetry``; everything above it may import it.
"""

from .background import BackgroundTasks, DetachedTask
from .cancellation import cancellation_first, close_after
from .exclusive import Exclusive
from .runtime import Runtime
from .supervision import cancel_all, close_all, supervised
from .threads import ForkSafeLock, SerialThread, in_thread

__all__ = [
    "BackgroundTasks",
    "DetachedTask",
    "Exclusive",
    "ForkSafeLock",
    "Runtime",
    "SerialThread",
    "cancel_all",
    "cancellation_first",
    "close_after",
    "close_all",
    "in_thread",
    "supervised",
]

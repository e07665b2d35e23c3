"""Shared by all parts: clock, random, observer, background tasks, bounded waits for user code.

It may import ``errors``, ``clock`` and ``telemetry``; everything above it may import it.
"""

from .background import BackgroundTasks, DetachedTask
from .cancellation import being_cancelled, cancellation_first, was_cancelled
from .runtime import Runtime
from .supervision import close_all, supervised
from .threads import in_thread

__all__ = [
    "BackgroundTasks",
    "DetachedTask",
    "Runtime",
    "being_cancelled",
    "cancellation_first",
    "close_all",
    "in_thread",
    "supervised",
    "was_cancelled",
]

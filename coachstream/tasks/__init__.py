"""Time, chance, events and tasks: what every part is given, and how it waits for others' code.

It may import ``errors``, ``clock`` and ``telemetry``; everything above it may import it.
"""

from .background import BackgroundTasks, DetachedTask
from .cancellation import being_cancelled, was_cancelled
from .runtime import Runtime
from .supervision import close_all, supervised
from .threads import in_thread

__all__ = [
    "BackgroundTasks",
    "DetachedTask",
    "Runtime",
    "being_cancelled",
    "close_all",
    "in_thread",
    "supervised",
    "was_cancelled",
]

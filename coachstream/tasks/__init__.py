"""Time, chance, events and tasks: what every part is given, and how it waits for others' code.

It may import ``errors``, ``clock`` and ``telemetry``; everything above it may import it.
"""

from .background import BackgroundTasks, DetachedTask
from .cancellation import being_cancelled, was_cancelled
from .runtime import Runtime

__all__ = ["BackgroundTasks", "DetachedTask", "Runtime", "being_cancelled", "was_cancelled"]

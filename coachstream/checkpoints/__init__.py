"""Checkpoint stores: each saves a position and its revision under a name.

It may import ``tasks`` and the modules at the top; ``progress``, ``sessions``, ``consumer`` and
``testing`` import it. Only a driver's own store imports that driver.
"""

from .encoding import Checkpoint, CheckpointStore
from .file import FileStore
from .mapping import MappingStore, MemoryStore
from .nats import NatsStore
from .opening import StoreLike, open_store, opened
from .postgres import PostgresStore
from .redis import RedisStore
from .sqlite import SqliteStore
from .store import Store

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "FileStore",
    "MappingStore",
    "MemoryStore",
    "NatsStore",
    "PostgresStore",
    "RedisStore",
    "SqliteStore",
    "Store",
    "StoreLike",
    "open_store",
    "opened",
]


def __dir__() -> list[str]:
    return __all__

"""Where a consumer keeps how far it has come."""

from .file import FileStore
from .mapping import MappingStore, MemoryStore
from .nats import NatsStore
from .opening import StoreLike, open_store, opened
from .postgres import PostgresStore
from .record import Checkpoint, CheckpointStore
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

"""Opens the store that a URL or a mapping stands for."""

from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

from ..errors import InvalidArgumentError
from .encoding import CheckpointStore
from .file import FileStore
from .mapping import MappingStore, MemoryStore
from .nats import NatsStore
from .postgres import PostgresStore
from .redis import RedisStore
from .sqlite import SqliteStore
from .store import Store

StoreLike = str | CheckpointStore | MutableMapping[str, bytes]
"""What may be passed as a store."""

_SERVERS: dict[str, Callable[[str], Store]] = {
    "postgresql": PostgresStore,
    "postgres": PostgresStore,
    "redis": RedisStore,
    "rediss": RedisStore,
    "nats": NatsStore,
}
_PATHS: dict[str, Callable[[str], Store]] = {"file": FileStore, "sqlite": SqliteStore}
_FORMS = (
    '"memory:", "file:directory", "sqlite:path", "postgresql://...", "redis://...", "nats://...", '
    "a store, or a mutable mapping"
)


def open_store(store: StoreLike) -> CheckpointStore:
    """Return the store for a URL or a mapping; a store is returned as it is.

    The caller must close a store opened from a URL; `opened` closes it automatically.

    Raises:
        InvalidArgumentError: ``store`` is none of these, or its driver is not installed.
    """
    if isinstance(store, str):
        return _from_url(store)
    methods = (getattr(store, method, None) for method in ("load", "save"))
    if not isinstance(store, type) and all(map(callable, methods)):
        return cast("CheckpointStore", store)
    if isinstance(store, MutableMapping):
        return MappingStore(store)
    raise InvalidArgumentError("store", f"a {type(store).__name__} is none of {_FORMS}")


@asynccontextmanager
async def opened(store: StoreLike) -> AsyncIterator[CheckpointStore]:
    """Yield what `open_store` returns; close it at the end, but not a store that was passed in."""
    found = open_store(store)
    async with AsyncExitStack() as stack:
        if found is not store and isinstance(found, Store):
            await stack.enter_async_context(found)
        yield found


def _from_url(url: str) -> Store:
    # A wrong URL is not repeated in the message: it may contain a password.
    scheme, separator, rest = url.partition(":")
    if not separator:
        raise InvalidArgumentError("store", f"this string is none of {_FORMS}")
    if scheme == "memory" and not rest:
        return MemoryStore()
    if scheme in _SERVERS and rest.startswith("//"):
        return _SERVERS[scheme](url)
    if scheme in _PATHS and rest and not rest.startswith("//"):
        return _PATHS[scheme](rest)
    if scheme in _PATHS:
        # "sqlite:///path" is an absolute path to some and a relative one to others.
        raise InvalidArgumentError(
            "store", f'write "{scheme}:relative/path" or "{scheme}:/absolute/path"'
        )
    raise InvalidArgumentError("store", f"{scheme!r} is none of {_FORMS}")

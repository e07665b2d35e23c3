"""Which store is meant."""

from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
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
"""What may be given where a store is wanted."""

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
    """Return the store that is meant by a URL or a mapping; a store is returned as it is.

    What comes from a URL is the caller's to close; `opened` does that by itself.

    Raises:
        InvalidArgumentError: no store is meant, or its driver is not installed.
    """
    if isinstance(store, str):
        return _from_url(store)
    if callable(getattr(store, "load", None)) and callable(getattr(store, "save", None)):
        return cast("CheckpointStore", store)
    if isinstance(store, MutableMapping):
        return MappingStore(store)
    raise InvalidArgumentError("store", f"a {type(store).__name__} is none of {_FORMS}")


@asynccontextmanager
async def opened(store: StoreLike) -> AsyncIterator[CheckpointStore]:
    """Yield what `open_store` returns, and close it at the end unless it is what was given."""
    found = open_store(store)
    try:
        yield found
    finally:
        if found is not store and isinstance(found, Store):
            await found.aclose()


def _from_url(url: str) -> Store:
    # A wrong URL is not repeated in the message: it may hold a password.
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
        # With slashes, some would read a path from the root, and others a relative one.
        raise InvalidArgumentError(
            "store", f'write "{scheme}:relative/path" or "{scheme}:/absolute/path"'
        )
    raise InvalidArgumentError("store", f"{scheme!r} is none of {_FORMS}")

"""Checkpoints in Redis."""

import inspect
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from ..errors import InvalidArgumentError, StoreError, StoreRefusedError
from ..tasks import in_thread
from .drivers import require, unreadable_url, without_secrets
from .failures import Advice, is_any
from .lazy import Lazy
from .store import Store
from .stored import Stored, check_revision, damaged, overtaken

if TYPE_CHECKING:
    from redis.asyncio import Redis

TIMEOUT = 10.0
"""Seconds that the store's own connections wait for the server before they raise."""

_REPLACE = """
local stored = redis.call('HGET', KEYS[1], 'revision')
if (stored or '0') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'value', ARGV[3], 'save', ARGV[4])
  return 1
end
if stored == ARGV[2] and redis.call('HGET', KEYS[1], 'save') == ARGV[4] then
  return 1
end
return 0
"""
"""Compare and set. Clients repeat a command whose response was lost. Each save has an id, so that a
repeated save succeeds and is not refused as stale."""


class RedisStore(Store):
    """Checkpoints as hashes, by default under ``coachstream:checkpoint:<name>``.

    Takes the URL of a server or a ``redis.asyncio`` client.

    A save is as durable as the server makes it. Redis needs ``appendonly yes`` to persist it. With
    ``appendfsync always`` a save is on the disk when it returns; with the default ``everysec`` a
    power cut may undo the last second. A failover may undo what the replica had not received. A
    running consumer then finds an older revision and stops with `StaleCheckpointError`; after a
    restart it repeats a little and loses nothing. ``maxmemory-policy`` must not evict the keys:
    without its checkpoint, a consumer begins again from its start time.
    """

    def __init__(self, server: "str | Redis", *, prefix: str = "coachstream:checkpoint:") -> None:
        super().__init__()
        if isinstance(server, str):
            require("redis", extra="redis")
        elif not inspect.iscoroutinefunction(getattr(server, "execute_command", None)):
            raise InvalidArgumentError(
                "server", f"a {type(server).__name__} is neither a URL nor a redis.asyncio client"
            )
        self._server = server
        self._own_client: Lazy[Redis] = Lazy(self._connect)
        self._prefix = prefix

    def __repr__(self) -> str:
        server = self._server
        shown = without_secrets(server) if isinstance(server, str) else type(server).__name__
        return f"RedisStore({shown!r})"

    async def _load(self, name: str) -> Stored | None:
        async with self._client() as client:
            return await self._read(client, name)

    async def _save(self, name: str, value: bytes, after: int) -> None:
        async with self._client() as client:
            check_revision(name, await self._read(client, name), after)
            save_id = uuid.uuid4().hex
            key = self._prefix + name
            done = client.eval(_REPLACE, 1, key, str(after), str(after + 1), value, save_id)
            if not await cast("Awaitable[int]", done):
                raise overtaken(name, after)

    async def _list(self) -> Iterable[str]:
        async with self._client() as client:
            pattern = re.sub(r"([\\*?\[\]^-])", r"\\\1", self._prefix) + "*"
            # Your client may be configured to decode responses.
            keys = [
                key if isinstance(key, str) else key.decode()
                async for key in client.scan_iter(match=pattern)
            ]
            return {key.removeprefix(self._prefix) for key in keys}

    async def _delete(self, name: str) -> bool:
        async with self._client() as client:
            return bool(await client.delete(self._prefix + name))

    async def _read(self, client: "Redis", name: str) -> Stored | None:
        found = await cast(
            "Awaitable[list[Any]]", client.hmget(self._prefix + name, ["revision", "value"])
        )
        # Your client may be configured to decode responses.
        revision, value = (part.encode() if isinstance(part, str) else part for part in found)
        if revision is None and value is None:
            return None
        try:
            return Stored(int(revision), bytes(value))
        except (TypeError, ValueError) as error:
            raise damaged(name, error) from error

    async def _close(self) -> None:
        client = await self._own_client.take()
        if client is not None:
            await client.aclose()

    @asynccontextmanager
    async def _client(self) -> "AsyncIterator[Redis]":
        """Yield the client; after the server was demoted, let its connections to it go."""
        if not isinstance(self._server, str):
            yield self._server
            return
        client = await self._own_client.get()
        try:
            yield client
        except Exception as error:
            if is_any(error, "MasterDownError", "ReadOnlyError"):
                await client.connection_pool.disconnect(inuse_connections=False)
            raise

    async def _connect(self) -> "Redis":
        assert isinstance(self._server, str)
        kind = await in_thread(_driver)
        try:
            return kind.from_url(
                self._server, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
            )
        except ValueError:
            raise unreadable_url() from None

    def _advice(self, error: Exception) -> Advice:
        in_script = ("NOPERM", "executing the script can't")
        if is_any(error, "NoPermissionError") or any(one in str(error) for one in in_script):
            commands = "HMGET, EVAL, HGET, HSET, SCAN and DEL"
            return StoreRefusedError, f"Allow the user {commands} on the keys {self._prefix}*"
        if is_any(error, "AuthenticationError", "AuthorizationError"):
            return StoreRefusedError, "Check the user and the password"
        if "DB index is out of range" in str(error):
            return StoreRefusedError, "Check the number of the database"
        return StoreError, "Check that the server is up and can be reached"


def _driver() -> "type[Redis]":
    from redis.asyncio import Redis  # noqa: PLC0415  # an extra, loaded when used

    return Redis

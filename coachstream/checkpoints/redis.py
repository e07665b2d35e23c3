"""Checkpoints in Redis."""

import inspect
import uuid
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, cast

from ..errors import InvalidArgumentError
from ..tasks import in_thread
from .drivers import require, without_secrets
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
        client = await self._client()
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

    async def _save(self, name: str, value: bytes, after: int) -> None:
        check_revision(name, await self._load(name), after)
        client = await self._client()
        save_id = uuid.uuid4().hex
        key = self._prefix + name
        done = client.eval(_REPLACE, 1, key, str(after), str(after + 1), value, save_id)
        if not await cast("Awaitable[int]", done):
            raise overtaken(name, after)

    async def _close(self) -> None:
        client = await self._own_client.take()
        if client is not None:
            await client.aclose()

    async def _client(self) -> "Redis":
        return self._server if not isinstance(self._server, str) else await self._own_client.get()

    async def _connect(self) -> "Redis":
        assert isinstance(self._server, str)
        kind = await in_thread(_driver)
        return kind.from_url(self._server, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)


def _driver() -> "type[Redis]":
    from redis.asyncio import Redis  # noqa: PLC0415  # an extra, loaded when used

    return Redis

"""Checkpoints in a NATS JetStream key-value bucket."""

from typing import TYPE_CHECKING

import anyio

from ..errors import InvalidArgumentError
from ..tasks import in_thread
from .drivers import require, without_secrets
from .lazy import Lazy
from .store import Store
from .stored import Stored, check_revision, overtaken, seal, unseal

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js.kv import KeyValue

TIMEOUT = 10.0
"""Seconds that the store waits for the server before it raises."""
MAX_TRIES = 100
"""How often a save is sent to a bucket that does not listen yet; each try is a round trip."""

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class NatsStore(Store):
    """Checkpoints as values of a bucket, by default ``coachstream_checkpoints``.

    Takes the URL of a server with JetStream, or a connected nats-py client. A missing bucket is
    created with file storage and, by default, one replica.

    A save survives a crash of the server. A power cut may undo the last minutes (the server's
    ``sync_interval``; with ``always``, none), unless there are three replicas. A checkpoint must
    fit the server's ``max_payload``, by default 1 MiB.
    """

    def __init__(
        self,
        server: "str | Client",
        *,
        bucket: str = "coachstream_checkpoints",
        replicas: int = 1,
    ) -> None:
        super().__init__()
        if isinstance(server, str):
            require("nats", extra="nats")
        elif not hasattr(server, "jetstream"):
            raise InvalidArgumentError(
                "server", f"a {type(server).__name__} is neither a URL nor a nats-py client"
            )
        self._server = server
        self._replicas = replicas
        self._bucket_name = bucket
        self._bucket: Lazy[tuple[Client, KeyValue]] = Lazy(
            self._open,
            usable=lambda opened: not isinstance(self._server, str) or not opened[0].is_closed,
        )

    def __repr__(self) -> str:
        server = self._server
        shown = without_secrets(server) if isinstance(server, str) else type(server).__name__
        return f"NatsStore({shown!r})"

    async def _load(self, name: str) -> Stored | None:
        stored, _ = await self._read(name)
        return stored

    async def _save(self, name: str, value: bytes, after: int) -> None:
        from nats.js.errors import (  # noqa: PLC0415  # an extra
            KeyWrongLastSequenceError,
            NoStreamResponseError,
        )

        stored, sequence = await self._read(name)
        check_revision(name, stored, after)
        client, bucket = await self._bucket.get()
        sealed = seal(Stored(after + 1, value))
        for left in reversed(range(MAX_TRIES)):
            try:
                if stored is None:
                    await bucket.create(_key(name), sealed)
                else:
                    # The sequence counts the changes of all keys, so it is not our revision.
                    await bucket.update(_key(name), sealed, last=sequence)
            except KeyWrongLastSequenceError:
                raise overtaken(name, after) from None
            except NoStreamResponseError:
                # A bucket that is just being created can be found a moment before it listens.
                if not left:
                    raise
                await client.flush()
            else:
                return

    async def _read(self, name: str) -> tuple[Stored | None, int]:
        """Return what is stored, and its sequence number in the bucket."""
        from nats.js.errors import KeyNotFoundError  # noqa: PLC0415  # an extra

        _, bucket = await self._bucket.get()
        try:
            entry = await bucket.get(_key(name))
        except KeyNotFoundError:
            return None, 0
        return unseal(name, entry.value or b""), entry.revision or 0

    async def _open(self) -> "tuple[Client, KeyValue]":
        if not isinstance(self._server, str):
            return self._server, await self._find_bucket(self._server)
        client = (await in_thread(_driver))()
        try:
            with anyio.fail_after(TIMEOUT):
                # A consumer runs for months, so a client that was connected reconnects for ever.
                # The time-out is for the first connection.
                await client.connect(self._server, max_reconnect_attempts=-1)
            return client, await self._find_bucket(client)
        except BaseException:
            await client.close()
            raise

    async def _find_bucket(self, client: "Client") -> "KeyValue":
        from nats.js.api import StorageType  # noqa: PLC0415  # an extra
        from nats.js.errors import BadRequestError, BucketNotFoundError  # noqa: PLC0415  # likewise

        jetstream = client.jetstream(timeout=TIMEOUT)
        try:
            return await jetstream.key_value(self._bucket_name)
        except BucketNotFoundError:
            pass
        try:
            return await jetstream.create_key_value(
                bucket=self._bucket_name, storage=StorageType.FILE, replicas=self._replicas
            )
        except BadRequestError:  # someone else has created it with other settings
            return await jetstream.key_value(self._bucket_name)

    async def _close(self) -> None:
        opened = await self._bucket.take()
        if opened is not None and isinstance(self._server, str):
            await opened[0].close()


def _key(name: str) -> str:
    """Return a valid NATS key, unique to the name."""
    return "".join(chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in name.encode())


def _driver() -> "type[Client]":
    from nats.aio.client import Client  # noqa: PLC0415  # an extra, loaded when used

    return Client

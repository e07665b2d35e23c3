"""Checkpoints in a NATS JetStream key-value bucket."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import anyio

from ..errors import InvalidArgumentError, StoreError, StoreRefusedError
from ..tasks import in_thread
from .drivers import require, unreadable_url, without_secrets
from .failures import Advice, is_any
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

_WRONG_SEQUENCE = (10071, 10164)
"""The server's error codes for a value that is no longer the one to replace."""
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class NatsStore(Store):
    """Checkpoints as values of a bucket, by default ``coachstream_checkpoints``.

    Takes the URL of a server with JetStream, several of a cluster separated by commas
    (``nats://one:4222,nats://two:4222``), or a connected nats-py client. A missing bucket is
    created with file storage and, by default, one replica. ``domain`` names the JetStream domain
    that has the bucket, if it is not that of the server.

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
        domain: str | None = None,
    ) -> None:
        super().__init__()
        self._urls: list[str] = []
        if isinstance(server, str):
            require("nats", extra="nats")
            self._urls = _urls(server)
        elif not hasattr(server, "jetstream"):
            raise InvalidArgumentError(
                "server", f"a {type(server).__name__} is neither a URL nor a nats-py client"
            )
        self._server = server
        self._replicas = replicas
        self._bucket_name = bucket
        self._domain = domain
        self._bucket: Lazy[_Bucket] = Lazy(
            self._open,
            usable=lambda bucket: not isinstance(self._server, str) or not bucket.client.is_closed,
        )

    def __repr__(self) -> str:
        server = self._server
        shown = _shown(server) if isinstance(server, str) else type(server).__name__
        return f"NatsStore({shown!r})"

    async def _load(self, name: str) -> Stored | None:
        async with self._opened() as bucket:
            stored, _ = await bucket.read(name)
            return stored

    async def _save(self, name: str, value: bytes, after: int) -> None:
        async with self._opened() as bucket:
            stored, sequence = await bucket.read(name)
            check_revision(name, stored, after)
            if not await bucket.write(name, seal(Stored(after + 1, value)), after=sequence):
                raise overtaken(name, after)

    async def _list(self) -> Iterable[str]:
        async with self._opened() as bucket:
            return await bucket.names()

    async def _delete(self, name: str) -> bool:
        async with self._opened() as bucket:
            return await bucket.remove(name)

    async def _close(self) -> None:
        bucket = await self._bucket.take()
        if bucket is not None and isinstance(self._server, str):
            await bucket.client.close()

    @asynccontextmanager
    async def _opened(self) -> "AsyncIterator[_Bucket]":
        """Yield the bucket; explain a time-out by what the server has said meanwhile."""
        bucket = await self._bucket.get()
        bucket.complaints.clear()
        try:
            yield bucket
        except TimeoutError as error:
            if bucket.complaints:
                raise TimeoutError(f"{error}: {bucket.complaints[-1]}") from error
            raise

    async def _open(self) -> "_Bucket":
        complaints: list[Exception] = []
        if not isinstance(self._server, str):
            return await self._find_bucket(self._server, complaints)
        client = (await in_thread(_driver))()
        connected = False

        async def note(error: Exception) -> None:
            complaints[:] = [error]
            if not connected and _is_refusal(error):  # the client would try again for ever
                raise error

        try:
            try:
                # A consumer runs for months, so a client that was connected reconnects for ever.
                # The time-out is for the first connection.
                with anyio.fail_after(TIMEOUT):
                    await client.connect(self._urls, error_cb=note, max_reconnect_attempts=-1)
            except TimeoutError as error:
                last = f": {complaints[-1]}" if complaints else ""
                raise TimeoutError(f"no connection within {TIMEOUT:g} s{last}") from error
            connected = True
            return await self._find_bucket(client, complaints)
        except BaseException:
            await client.close()
            raise

    async def _find_bucket(self, client: "Client", complaints: list[Exception]) -> "_Bucket":
        from nats.js.api import StorageType  # noqa: PLC0415  # an extra
        from nats.js.errors import BadRequestError, BucketNotFoundError  # noqa: PLC0415  # likewise

        jetstream = client.jetstream(timeout=TIMEOUT, domain=self._domain)
        try:
            found = await jetstream.key_value(self._bucket_name)
        except BucketNotFoundError:
            try:
                found = await jetstream.create_key_value(
                    bucket=self._bucket_name, storage=StorageType.FILE, replicas=self._replicas
                )
            except BadRequestError:  # someone else has created it with other settings
                found = await jetstream.key_value(self._bucket_name)
        # Without the domain, a bucket of this name in the server's own domain would get the values.
        prefix = "" if self._domain is None else f"$JS.{self._domain}.API."
        subjects = f"{prefix}$KV.{self._bucket_name}."
        return _Bucket(client, found, jetstream.publish, subjects, complaints)

    def _advice(self, error: Exception) -> Advice:
        text = str(error).lower()
        if "permissions violation" in text:
            subjects = f"$JS.API.>, $KV.{self._bucket_name}.> and its inbox"
            return StoreRefusedError, f"Allow the user to publish and subscribe to {subjects}"
        if _is_refusal(error):
            return StoreRefusedError, "Check the user and the password, or the token"
        return StoreError, "Check that the server is up, has JetStream, and can be reached"


class _Bucket:
    """A bucket, and the client that has found it."""

    def __init__(
        self,
        client: "Client",
        found: "KeyValue",
        publish: Callable[..., Awaitable[object]],
        subjects: str,
        complaints: list[Exception],
    ) -> None:
        self.client = client
        self.complaints = complaints
        """What the server has said without being asked, such as that something is not allowed."""
        self._found = found
        self._publish = publish
        self._subjects = subjects  # the beginning of the keys' subjects

    async def read(self, name: str) -> tuple[Stored | None, int]:
        """Return what is stored, and its sequence number in the bucket, or that of its removal."""
        from nats.js.errors import KeyNotFoundError  # noqa: PLC0415  # an extra

        try:
            entry = await self._found.get(_key(name))
        except KeyNotFoundError as error:
            return None, (error.entry and error.entry.revision) or 0
        return unseal(name, entry.value or b""), entry.revision or 0

    async def names(self) -> Iterable[str]:
        """Return the names that have a value."""
        from nats.js.errors import NoKeysError  # noqa: PLC0415  # an extra

        try:
            return map(_name, await self._found.keys())
        except NoKeysError:
            return ()

    async def remove(self, name: str) -> bool:
        """Remove the value, and all that it was before; return whether there was one."""
        from nats.js.errors import KeyNotFoundError  # noqa: PLC0415  # an extra

        try:
            await self._found.get(_key(name))
        except KeyNotFoundError:
            return False
        headers = {"KV-Operation": "PURGE", "Nats-Rollup": "sub"}
        await self._publish(self._subjects + _key(name), b"", headers=headers)
        return True

    async def write(self, name: str, value: bytes, *, after: int) -> bool:
        """Write the value if the sequence number is still ``after``; return whether it was."""
        from nats.js.errors import APIError, NoStreamResponseError  # noqa: PLC0415  # an extra

        # The sequence counts the changes of all keys, so it is not our revision.
        headers = {"Nats-Expected-Last-Subject-Sequence": str(after)}
        for left in reversed(range(MAX_TRIES)):
            try:
                await self._publish(self._subjects + _key(name), value, headers=headers)
            except APIError as error:
                if error.err_code in _WRONG_SEQUENCE:
                    return False
                raise
            except NoStreamResponseError:
                # A bucket that is just being created can be found a moment before it listens.
                if not left:
                    raise
                await self.client.flush()
            else:
                break
        return True


def _urls(servers: str) -> list[str]:
    """Return the URLs of a list with commas; all but the first may lack their scheme."""
    parts = [url.strip() for url in servers.split(",")]
    urls = [url if "://" in url else f"nats://{url}" for url in parts]
    try:
        hosts = [(urlsplit(url).hostname, urlsplit(url).port)[0] for url in urls]
    except ValueError:
        raise unreadable_url() from None
    if not all(hosts):
        raise unreadable_url()
    return urls


def _shown(servers: str) -> str:
    parts = servers.split(",")
    if all("://" in part for part in parts):
        return ",".join(map(without_secrets, parts))
    return without_secrets(servers)


def _is_refusal(error: Exception) -> bool:
    return is_any(error, "AuthorizationError") or "authorization" in str(error).lower()


def _key(name: str) -> str:
    """Return a valid NATS key, unique to the name."""
    return "".join(chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in name.encode())


def _name(key: str) -> str:
    """Reverse `_key`."""
    return unquote(key.replace("=", "%"))


def _driver() -> "type[Client]":
    from nats.aio.client import Client  # noqa: PLC0415  # an extra, loaded when used

    return Client

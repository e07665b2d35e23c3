"""The storages behind the stores, for tests that read or damage them directly."""

import itertools
import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import anyio

from coachstream.checkpoints import (
    FileStore,
    MappingStore,
    NatsStore,
    PostgresStore,
    RedisStore,
    SqliteStore,
    Store,
)
from coachstream.checkpoints.file import file_name
from coachstream.checkpoints.stored import Stored, seal
from tests.support.servers import driver

_numbers = itertools.count(1)


class Storage(ABC):
    """One storage, which any number of stores may use."""

    def __init__(self, location: Any) -> None:
        self.location = location

    @abstractmethod
    def store(self) -> Store:
        """Return another store on this storage."""

    @abstractmethod
    async def read_raw(self, name: str) -> Any:
        """Return all that is stored for the name, unchanged."""

    @abstractmethod
    async def write_raw(self, name: str, revision: int, value: bytes) -> None:
        """Store this value for an existing name, in a valid format."""

    @abstractmethod
    async def damage(self, name: str) -> None:
        """Damage what is stored for an existing name."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return


class Mapping(Storage):
    def __init__(self, location: Any) -> None:
        super().__init__(location)
        self.mapping: dict[str, bytes] = {}

    def store(self) -> Store:
        return MappingStore(self.mapping)

    async def read_raw(self, name: str) -> Any:
        return self.mapping[name]

    async def write_raw(self, name: str, revision: int, value: bytes) -> None:
        self.mapping[name] = seal(Stored(revision, value))

    async def damage(self, name: str) -> None:
        self.mapping[name] = self.mapping[name][:-20]


class Files(Storage):
    """Files. `file_name` gives their names; they are read without the store."""

    @property
    def directory(self) -> Path:
        return Path(self.location) / "checkpoints"

    def path(self, name: str) -> Path:
        return self.directory / file_name(name)

    def store(self) -> Store:
        return FileStore(self.directory)

    async def read_raw(self, name: str) -> Any:
        return await anyio.Path(self.path(name)).read_bytes()

    async def write_raw(self, name: str, revision: int, value: bytes) -> None:
        await anyio.Path(self.path(name)).write_bytes(seal(Stored(revision, value)))

    async def damage(self, name: str) -> None:
        path = anyio.Path(self.path(name))
        data = bytearray(await path.read_bytes())
        data[len(data) // 2] ^= 1
        await path.write_bytes(data)


class Sqlite(Storage):
    @property
    def path(self) -> Path:
        return Path(self.location) / "state.db"

    def store(self) -> Store:
        return SqliteStore(self.path)

    async def run(self, query: str, *arguments: object) -> list[Any]:
        def work() -> list[Any]:
            with closing(sqlite3.connect(self.path)) as connection, connection:
                return connection.execute(query, arguments).fetchall()

        return await anyio.to_thread.run_sync(work)

    async def read_raw(self, name: str) -> Any:
        return await self.run("SELECT * FROM coachstream_checkpoints WHERE name = ?", name)

    async def write_raw(self, name: str, revision: int, value: bytes) -> None:
        query = "UPDATE coachstream_checkpoints SET revision = ?, value = ? WHERE name = ?"
        await self.run(query, revision, value.decode(), name)

    async def damage(self, name: str) -> None:
        query = "UPDATE coachstream_checkpoints SET value = substr(value, 1, 20) WHERE name = ?"
        await self.run(query, name)


class Postgres(Storage):
    def __init__(self, location: Any) -> None:
        super().__init__(location)
        self.table = f'Odd "table" {next(_numbers)}'

    def store(self) -> Store:
        return PostgresStore(self.location, table=self.table)

    async def run(self, query: str, *arguments: object) -> list[Any]:
        asyncpg = driver("asyncpg")
        quoted = '"{}"'.format(self.table.replace('"', '""'))
        connection = await asyncpg.connect(self.location)
        try:
            found: list[Any] = await connection.fetch(query.format(table=quoted), *arguments)
            return found
        finally:
            await connection.close()

    async def read_raw(self, name: str) -> Any:
        return await self.run("SELECT * FROM {table} WHERE name = $1", name)

    async def write_raw(self, name: str, revision: int, value: bytes) -> None:
        query = "UPDATE {table} SET revision = $2, value = $3 WHERE name = $1"
        await self.run(query, name, revision, value.decode())

    async def damage(self, name: str) -> None:
        await self.run("UPDATE {table} SET value = left(value, 20) WHERE name = $1", name)


class Redis(Storage):
    def __init__(self, location: Any) -> None:
        super().__init__(location)
        self.prefix = f"{next(_numbers)}:"

    def store(self) -> Store:
        return RedisStore(self.location, prefix=self.prefix)

    async def __aenter__(self) -> Self:
        self.client = driver("redis.asyncio").from_url(self.location)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def read_raw(self, name: str) -> Any:
        return await self.client.hgetall(self.prefix + name)

    async def write_raw(self, name: str, revision: int, value: bytes) -> None:
        fields = {"revision": revision, "value": value}
        await self.client.hset(self.prefix + name, mapping=fields)

    async def damage(self, name: str) -> None:
        await self.client.hset(self.prefix + name, "value", b"\xff nonsense")


class Nats(Storage):
    def __init__(self, location: Any) -> None:
        super().__init__(location)
        self.bucket_name = f"bucket-{next(_numbers)}"

    def store(self) -> Store:
        return NatsStore(self.location, bucket=self.bucket_name)

    async def __aenter__(self) -> Self:
        self.client = await driver("nats").connect(self.location)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def entry(self, name: str) -> tuple[Any, str]:
        """Return the bucket and its only key that ends with the name."""
        bucket = await self.client.jetstream().key_value(self.bucket_name)
        [key] = [key for key in await bucket.keys() if key.endswith(name)]
        return bucket, key

    async def read_raw(self, name: str) -> Any:
        bucket, key = await self.entry(name)
        entry = await bucket.get(key)
        return entry.value, entry.revision

    async def write_raw(self, name: str, revision: int, value: bytes) -> None:
        bucket, key = await self.entry(name)
        await bucket.put(key, seal(Stored(revision, value)))

    async def damage(self, name: str) -> None:
        bucket, key = await self.entry(name)
        await bucket.put(key, (await bucket.get(key)).value[:-20])


STORAGES: dict[str, type[Storage]] = {
    "mapping": Mapping,
    "file": Files,
    "sqlite": Sqlite,
    "postgres": Postgres,
    "redis": Redis,
    "nats": Nats,
}
EMBEDDED = ("file", "sqlite")
"""The kinds that need no server."""

"""What stores keep checkpoints in, for tests that look behind them."""

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
    """One storage, that any number of stores can be made for."""

    def __init__(self, place: Any) -> None:
        self.place = place

    @abstractmethod
    def store(self) -> Store:
        """Return another store on this storage."""

    @abstractmethod
    async def look(self, name: str) -> Any:
        """Return all that is kept for the name, as it is."""

    @abstractmethod
    async def plant(self, name: str, revision: int, value: bytes) -> None:
        """Have this value kept for a name that is there, in good order but for its meaning."""

    @abstractmethod
    async def damage(self, name: str) -> None:
        """Have nonsense kept for a name that is there."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return


class Mapping(Storage):
    def __init__(self, place: Any) -> None:
        super().__init__(place)
        self.mapping: dict[str, bytes] = {}

    def store(self) -> Store:
        return MappingStore(self.mapping)

    async def look(self, name: str) -> Any:
        return self.mapping[name]

    async def plant(self, name: str, revision: int, value: bytes) -> None:
        self.mapping[name] = seal(Stored(revision, value))

    async def damage(self, name: str) -> None:
        self.mapping[name] = self.mapping[name][:-20]


class Files(Storage):
    """File names are `file_name`'s word; what is in the files is not."""

    @property
    def directory(self) -> Path:
        return Path(self.place) / "checkpoints"

    def path(self, name: str) -> Path:
        return self.directory / file_name(name)

    def store(self) -> Store:
        return FileStore(self.directory)

    async def look(self, name: str) -> Any:
        return await anyio.Path(self.path(name)).read_bytes()

    async def plant(self, name: str, revision: int, value: bytes) -> None:
        await anyio.Path(self.path(name)).write_bytes(seal(Stored(revision, value)))

    async def damage(self, name: str) -> None:
        path = anyio.Path(self.path(name))
        kept = bytearray(await path.read_bytes())
        kept[len(kept) // 2] ^= 1
        await path.write_bytes(kept)


class Sqlite(Storage):
    @property
    def path(self) -> Path:
        return Path(self.place) / "state.db"

    def store(self) -> Store:
        return SqliteStore(self.path)

    async def run(self, query: str, *arguments: object) -> list[Any]:
        def work() -> list[Any]:
            with closing(sqlite3.connect(self.path)) as connection, connection:
                return connection.execute(query, arguments).fetchall()

        return await anyio.to_thread.run_sync(work)

    async def look(self, name: str) -> Any:
        return await self.run("SELECT * FROM coachstream_checkpoints WHERE name = ?", name)

    async def plant(self, name: str, revision: int, value: bytes) -> None:
        query = "UPDATE coachstream_checkpoints SET revision = ?, value = ? WHERE name = ?"
        await self.run(query, revision, value.decode(), name)

    async def damage(self, name: str) -> None:
        query = "UPDATE coachstream_checkpoints SET value = substr(value, 1, 20) WHERE name = ?"
        await self.run(query, name)


class Postgres(Storage):
    def __init__(self, place: Any) -> None:
        super().__init__(place)
        self.table = f'Odd "table" {next(_numbers)}'

    def store(self) -> Store:
        return PostgresStore(self.place, table=self.table)

    async def run(self, query: str, *arguments: object) -> list[Any]:
        asyncpg = driver("asyncpg")
        quoted = '"{}"'.format(self.table.replace('"', '""'))
        connection = await asyncpg.connect(self.place)
        try:
            found: list[Any] = await connection.fetch(query.format(table=quoted), *arguments)
            return found
        finally:
            await connection.close()

    async def look(self, name: str) -> Any:
        return await self.run("SELECT * FROM {table} WHERE name = $1", name)

    async def plant(self, name: str, revision: int, value: bytes) -> None:
        query = "UPDATE {table} SET revision = $2, value = $3 WHERE name = $1"
        await self.run(query, name, revision, value.decode())

    async def damage(self, name: str) -> None:
        await self.run("UPDATE {table} SET value = left(value, 20) WHERE name = $1", name)


class Redis(Storage):
    def __init__(self, place: Any) -> None:
        super().__init__(place)
        self.prefix = f"{next(_numbers)}:"

    def store(self) -> Store:
        return RedisStore(self.place, prefix=self.prefix)

    async def __aenter__(self) -> Self:
        self.client = driver("redis.asyncio").from_url(self.place)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def look(self, name: str) -> Any:
        return await self.client.hgetall(self.prefix + name)

    async def plant(self, name: str, revision: int, value: bytes) -> None:
        fields = {"revision": revision, "value": value}
        await self.client.hset(self.prefix + name, mapping=fields)

    async def damage(self, name: str) -> None:
        await self.client.hset(self.prefix + name, "value", b"\xff nonsense")


class Nats(Storage):
    def __init__(self, place: Any) -> None:
        super().__init__(place)
        self.bucket_name = f"bucket-{next(_numbers)}"

    def store(self) -> Store:
        return NatsStore(self.place, bucket=self.bucket_name)

    async def __aenter__(self) -> Self:
        self.client = await driver("nats").connect(self.place)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def entry(self, name: str) -> tuple[Any, str]:
        """Return the bucket and the only key in it that ends like the name."""
        bucket = await self.client.jetstream().key_value(self.bucket_name)
        [key] = [key for key in await bucket.keys() if key.endswith(name)]
        return bucket, key

    async def look(self, name: str) -> Any:
        bucket, key = await self.entry(name)
        entry = await bucket.get(key)
        return entry.value, entry.revision

    async def plant(self, name: str, revision: int, value: bytes) -> None:
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
"""Those that a process keeps by itself, without a server."""

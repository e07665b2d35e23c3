"""Stores that fail or hang when a test says so, and one with transactions."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from coachstream import Position
from coachstream.checkpoints import Checkpoint, MemoryStore, PostgresStore


class TroubledStore(MemoryStore):
    """A store that fails or hangs when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.error: BaseException | None = None
        """Raised by each call."""
        self.hangs = False
        self.saves = 0
        """Saves that were begun."""
        self.written = 0
        """Keys of settled sessions that were written, over all saves."""

    async def load(self, name: str) -> Checkpoint | None:
        await self._trouble()
        return await super().load(name)

    async def save(self, name: str, position: Position, *, after: int) -> Checkpoint:
        self.saves += 1
        self.written += len(position.settled)
        await self._trouble()
        return await super().save(name, position, after=after)

    async def kept(self, name: str = "x") -> Position:
        """Return what is stored, whatever the trouble."""
        found = await super().load(name)
        assert found is not None
        return found.position

    async def _trouble(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error


class Database:
    """Stands in for an asyncpg pool: rows, and transactions with savepoints. No SQL is parsed."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[int, str]] = {}

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Connection"]:
        yield Connection(self)


class Connection:
    """A connection that sees what is committed, and its own writes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._levels: list[dict[str, tuple[int, str]]] = []  # writes of each open transaction

    def terminate(self) -> None:
        self._levels.clear()

    def is_in_transaction(self) -> bool:
        return bool(self._levels)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self._levels.append({})
        try:
            yield
        except BaseException:
            self._levels.pop()
            raise
        writes = self._levels.pop()
        (self._levels[-1] if self._levels else self._database.rows).update(writes)

    async def execute(self, query: str, *args: object) -> str:
        return query

    async def fetch(self, query: str) -> list[Mapping[str, Any]]:
        return [{"name": name} for name in self._database.rows]

    async def fetchrow(self, query: str, *args: object) -> Mapping[str, Any] | None:
        name = cast("str", args[0])
        for level in [*reversed(self._levels), self._database.rows]:
            if name in level:
                revision, value = level[name]
                return {"revision": revision, "value": value}
        return None

    async def fetchval(self, query: str, *args: object) -> Any:
        if "to_regclass" in query:
            return "the table exists"
        name, after, value = cast("tuple[str, int, str]", args)
        (self._levels[-1] if self._levels else self._database.rows)[name] = after + 1, value
        return after + 1


def database_store() -> tuple[Database, PostgresStore]:
    """Return a database and a store in it."""
    database = Database()
    return database, PostgresStore(database)

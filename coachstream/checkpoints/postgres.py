"""Checkpoints in PostgreSQL, optionally saved in the handler's own transaction."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import ModuleType
from typing import Any, Protocol, cast

from ..errors import InvalidArgumentError
from ..models import Position
from ..tasks import in_thread
from .drivers import require, without_secrets
from .encoding import Checkpoint, encode
from .lazy import Lazy
from .names import checked_name
from .store import Store
from .stored import Stored, check_revision, overtaken, restore

TIMEOUT = 30.0
"""Seconds that the store's own connections wait for the server before they raise."""

_TABLE_LOCK = int.from_bytes(b"coachstr", "big")
"""Key of the advisory lock under which the table is created."""


class Connection(Protocol):
    """The part of an asyncpg connection that this store uses."""

    async def execute(self, query: str, *args: object) -> str: ...
    async def fetchrow(self, query: str, *args: object) -> Mapping[str, Any] | None: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...  # noqa: ANN401  # any column
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...
    def is_in_transaction(self) -> bool: ...


class Pool(Protocol):
    """The part of an asyncpg pool that this store uses."""

    def acquire(self) -> AbstractAsyncContextManager[Any]: ...


class _OwnPool(Pool, Protocol):
    async def close(self) -> None: ...
    def terminate(self) -> None: ...


class PostgresStore(Store):
    """Checkpoints as rows of a table, by default ``coachstream_checkpoints``.

    Takes the URL of a server or an asyncpg pool. A missing table is created in ``schema``, by
    default according to the connection's search path.

    A handler that writes to the same database can commit its effect and the checkpoint in one
    transaction::

        async with connection.transaction():
            await connection.execute(...)
            await store.save(name, position, after=revision, on=connection)
    """

    def __init__(
        self,
        database: str | Pool,
        *,
        schema: str | None = None,
        table: str = "coachstream_checkpoints",
    ) -> None:
        super().__init__()
        if isinstance(database, str):
            require("asyncpg", extra="postgres")
        elif not hasattr(database, "acquire"):
            raise InvalidArgumentError(
                "database", f"a {type(database).__name__} is neither a URL nor an asyncpg pool"
            )
        self._database = database
        self._own_pool: Lazy[_OwnPool] = Lazy(self._make_pool)
        self._table = ".".join(_quoted(part) for part in (schema, table) if part is not None)
        self._has_table = False

    def __repr__(self) -> str:
        database = self._database
        shown = without_secrets(database) if isinstance(database, str) else type(database).__name__
        return f"PostgresStore({shown!r})"

    async def load(self, name: str, *, on: Connection | None = None) -> Checkpoint | None:
        """Return the checkpoint stored for ``name``; with ``on``, as that connection sees it."""
        if on is None:
            return await super().load(name)
        self._check_open()
        await self._make_table_on(on)
        return restore(name, await self._read(on, checked_name(name)))

    async def save(
        self, name: str, position: Position, *, after: int, on: Connection | None = None
    ) -> Checkpoint:
        """Save; with ``on``, as part of the transaction that is open on that connection.

        The checkpoint is stored when that transaction commits. Until then, another save of the
        name waits. At isolation levels above read committed, the database itself may refuse the
        save with a serialization error.

        Raises:
            StaleCheckpointError: another revision is stored; let it end your transaction, too.
            InvalidArgumentError: no transaction is open on ``on``.
        """
        if on is None:
            return await super().save(name, position, after=after)
        self._check_open()
        if not on.is_in_transaction():
            raise InvalidArgumentError("on", "no transaction is open on this connection")
        await self._make_table_on(on)
        await self._replace(on, checked_name(name), encode(position), after)
        return Checkpoint(position=position, revision=after + 1)

    async def _make_table_on(self, connection: Connection) -> None:
        """Make the table, not through the pool: its last connection may be this one."""
        if not self._has_table:  # it stays so, because a rollback removes the table
            await self._make_table(connection)

    async def _load(self, name: str) -> Stored | None:
        async with (await self._pool()).acquire() as connection:
            await self._prepare(connection)
            return await self._read(connection, name)

    async def _save(self, name: str, value: bytes, after: int) -> None:
        async with (await self._pool()).acquire() as connection:
            await self._prepare(connection)
            await self._replace(connection, name, value, after)

    async def _close(self) -> None:
        pool = await self._own_pool.take()
        if pool is not None:
            try:
                await pool.close()
            finally:
                pool.terminate()  # does nothing to a closed pool

    async def _read(self, connection: Connection, name: str) -> Stored | None:
        row = await connection.fetchrow(
            f"SELECT revision, value FROM {self._table} WHERE name = $1",  # noqa: S608  # quoted
            name,
        )
        return None if row is None else Stored(row["revision"], row["value"].encode())

    async def _replace(self, connection: Connection, name: str, value: bytes, after: int) -> None:
        stored = await self._read(connection, name)
        check_revision(name, stored, after)
        # Of two saves, the second waits here for the first to commit, and then matches no row.
        if stored is None:
            query = (
                f"INSERT INTO {self._table} (name, revision, value) "  # noqa: S608  # quoted
                "VALUES ($1, $2 + 1, $3) "
                "ON CONFLICT (name) DO NOTHING RETURNING revision"
            )
        else:
            query = (
                f"UPDATE {self._table} SET revision = $2 + 1, value = $3 "  # noqa: S608  # quoted
                "WHERE name = $1 AND revision = $2 RETURNING revision"
            )
        if await connection.fetchval(query, name, after, value.decode()) is None:
            raise overtaken(name, after)

    async def _prepare(self, connection: Connection) -> None:
        if not self._has_table:
            await self._make_table(connection)
            self._has_table = True

    async def _make_table(self, connection: Connection) -> None:
        # "IF NOT EXISTS" needs the privilege to create a table even if it exists.
        if await connection.fetchval("SELECT to_regclass($1)", self._table) is not None:
            return
        async with connection.transaction():
            # "IF NOT EXISTS" may fail if two connections run it at once.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _TABLE_LOCK)
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} "
                "(name text PRIMARY KEY, revision bigint NOT NULL, value text NOT NULL)"
            )

    async def _pool(self) -> Pool:
        return self._database if not isinstance(self._database, str) else await self._own_pool.get()

    async def _make_pool(self) -> _OwnPool:
        asyncpg = await in_thread(_driver)
        pool = asyncpg.create_pool(
            self._database, min_size=0, max_size=2, timeout=TIMEOUT, command_timeout=TIMEOUT
        )
        return cast("_OwnPool", await pool)


def _quoted(identifier: str) -> str:
    if not identifier or "\0" in identifier:
        raise InvalidArgumentError("table", f"{identifier!r} is not a valid name")
    return '"{}"'.format(identifier.replace('"', '""'))


def _driver() -> ModuleType:
    import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415  # an extra, loaded when used

    return cast("ModuleType", asyncpg)

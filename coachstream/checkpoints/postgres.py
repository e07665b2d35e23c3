"""Checkpoints in PostgreSQL, optionally saved in the handler's own transaction."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import ModuleType
from typing import Any, Protocol, cast

from ..errors import CoachStreamError, InvalidArgumentError, StoreError, StoreRefusedError
from ..models import Position
from ..tasks import in_thread
from .connections import Connection, in_transaction
from .drivers import require, unreadable_url, without_secrets
from .encoding import Checkpoint, encode
from .failures import Advice
from .lazy import Lazy
from .names import checked_name
from .store import Store
from .stored import Stored, check_revision, overtaken, restore

TIMEOUT = 10.0
"""Seconds that the store's own connections wait for the server before they raise."""

_TABLE_LOCK = int.from_bytes(b"coachstr", "big")
"""Key of the advisory lock under which the table is created."""

_ANOTHER_MAY_DO = ("25006", "57P", "26000", "42P05")
"""Beginnings of SQLSTATEs that another connection may not meet: this one leads to a server that was
demoted or shuts down, or through a pooler to one with other prepared statements."""
_ADVICE: dict[str, Advice] = {
    "28": (StoreRefusedError, "Check the user and the password"),
    "3D000": (StoreRefusedError, "Create the database"),
    "3F000": (StoreRefusedError, "Create the schema"),
    "42501": (
        StoreRefusedError,
        "Grant SELECT, INSERT, UPDATE and DELETE on the table; to create it, CREATE on its schema",
    ),
    "26000": (StoreError, "Behind PgBouncer, give your pool statement_cache_size=0"),
    "42P05": (StoreError, "Behind PgBouncer, give your pool statement_cache_size=0"),
}
"""What to do, by the beginning of the SQLSTATE."""


class PooledConnection(Connection, Protocol):
    """The part of a pool's connection that this store uses."""

    async def fetch(self, query: str) -> Iterable[Mapping[str, Any]]: ...
    def terminate(self) -> None: ...


class Pool(Protocol):
    """The part of an asyncpg pool that this store uses."""

    def acquire(self) -> AbstractAsyncContextManager[PooledConnection]: ...


class _OwnPool(Pool, Protocol):
    async def close(self) -> None: ...
    def terminate(self) -> None: ...


class PostgresStore(Store):
    """Checkpoints as rows of a table, by default ``coachstream_checkpoints``.

    Takes the URL of a server or an asyncpg pool. A missing table is created in ``schema``, by
    default according to the connection's search path.

    After a failover it connects anew, to whatever server the address then leads to. It works behind
    PgBouncer in any mode; a pool of yours needs ``statement_cache_size=0`` there.

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

    async def load(self, name: str, *, on: object | None = None) -> Checkpoint | None:
        """Return the checkpoint stored for ``name``; with ``on``, as that connection sees it."""
        if on is None:
            return await super().load(name)
        self._check_open()
        connection = await in_transaction(on)
        await self._make_table_on(connection)
        return restore(name, await self._read(connection, checked_name(name)))

    async def save(
        self, name: str, position: Position, *, after: int, on: object | None = None
    ) -> Checkpoint:
        """Save; with ``on``, as part of the transaction that is open on that connection.

        The checkpoint is stored when that transaction commits. Until then, another save of the
        name waits. At isolation levels above read committed, the database itself may refuse the
        save with a serialization error.

        Args:
            name: The checkpoint's name.
            position: What to save.
            after: The revision to replace.
            on: A connection of asyncpg, an ``AsyncConnection`` of psycopg 3, or one of SQLAlchemy
                over either. What its driver raises is raised as it is.

        Raises:
            StaleCheckpointError: another revision is stored; let it end your transaction, too.
            InvalidArgumentError: no transaction is open on ``on``, or it is of another kind.
        """
        if on is None:
            return await super().save(name, position, after=after)
        self._check_open()
        connection = await in_transaction(on)
        await self._make_table_on(connection)
        await self._replace(connection, checked_name(name), encode(position), after)
        return Checkpoint(position=position, revision=after + 1)

    async def _make_table_on(self, connection: Connection) -> None:
        """Make the table, not through the pool: its last connection may be this one."""
        if not self._has_table:  # it stays so, because a rollback removes the table
            await self._make_table(connection)

    async def _load(self, name: str) -> Stored | None:
        async with self._connection() as connection:
            return await self._read(connection, name)

    async def _save(self, name: str, value: bytes, after: int) -> None:
        async with self._connection() as connection:
            await self._replace(connection, name, value, after)

    async def _list(self) -> Iterable[str]:
        async with self._connection() as connection:
            rows = await connection.fetch(f"SELECT name FROM {self._table}")  # noqa: S608  # quoted
            return [row["name"] for row in rows]

    async def _delete(self, name: str) -> bool:
        async with self._connection() as connection:
            query = f"DELETE FROM {self._table} WHERE name = $1::text RETURNING name"  # noqa: S608  # quoted
            return await connection.fetchval(query, name) is not None

    async def _close(self) -> None:
        pool = await self._own_pool.take()
        if pool is not None:
            try:
                await pool.close()
            finally:
                pool.terminate()  # does nothing to a closed pool

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PooledConnection]:
        """Yield a connection of the pool; let it go if another one may do better."""
        async with (await self._pool()).acquire() as connection:
            try:
                if not self._has_table:
                    await self._make_table(connection)
                    self._has_table = True
                yield connection
            except CoachStreamError:
                raise
            except BaseException as error:
                state = getattr(error, "sqlstate", None)
                if state is None or state.startswith(_ANOTHER_MAY_DO):
                    # Also one that does not answer: to give it back would mean to wait for it.
                    connection.terminate()
                self._has_table = False  # somebody may have removed it
                raise

    async def _read(self, connection: Connection, name: str) -> Stored | None:
        row = await connection.fetchrow(
            f"SELECT revision, value FROM {self._table} WHERE name = $1::text",  # noqa: S608  # quoted
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
                "VALUES ($1::text, $2::bigint + 1, $3::text) "
                "ON CONFLICT (name) DO NOTHING RETURNING revision"
            )
        else:
            query = (
                f"UPDATE {self._table} SET revision = $2::bigint + 1, value = $3::text "  # noqa: S608  # quoted
                "WHERE name = $1::text AND revision = $2::bigint RETURNING revision"
            )
        if await connection.fetchval(query, name, after, value.decode()) is None:
            raise overtaken(name, after)

    async def _make_table(self, connection: Connection) -> None:
        # "IF NOT EXISTS" needs the privilege to create a table even if it exists.
        if await connection.fetchval("SELECT to_regclass($1::text)", self._table) is not None:
            return
        async with connection.transaction():
            # "IF NOT EXISTS" may fail if two connections run it at once.
            await connection.execute("SELECT pg_advisory_xact_lock($1::bigint)", _TABLE_LOCK)
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} "
                "(name text PRIMARY KEY, revision bigint NOT NULL, value text NOT NULL)"
            )

    async def _pool(self) -> Pool:
        return self._database if not isinstance(self._database, str) else await self._own_pool.get()

    async def _make_pool(self) -> _OwnPool:
        asyncpg = await in_thread(_driver)
        pool = asyncpg.create_pool(
            self._database,
            min_size=0,
            max_size=2,
            timeout=TIMEOUT,
            command_timeout=TIMEOUT,
            statement_cache_size=0,  # which PgBouncer needs, unless it pools sessions
        )
        return cast("_OwnPool", await pool)

    def _advice(self, error: Exception) -> Advice:
        if isinstance(error, ValueError):  # of the URL, when the first connection is made
            raise unreadable_url() from None
        state = getattr(error, "sqlstate", None) or ""
        for beginning, advice in _ADVICE.items():
            if state.startswith(beginning):
                return advice
        return StoreError, "Check that the server is up and can be reached"


def _quoted(identifier: str) -> str:
    if not identifier or "\0" in identifier:
        raise InvalidArgumentError("table", f"{identifier!r} is not a valid name")
    return '"{}"'.format(identifier.replace('"', '""'))


def _driver() -> ModuleType:
    import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415  # an extra, loaded when used

    return cast("ModuleType", asyncpg)

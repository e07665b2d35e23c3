"""Connections to PostgreSQL on which a caller has a transaction open.

asyncpg's connections are used as they are, psycopg's through an adapter, and SQLAlchemy's by the
one of the two that they wrap.
"""

import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, cast

from ..errors import InvalidArgumentError

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.ext.asyncio import AsyncConnection


class Connection(Protocol):
    """The part of an asyncpg connection that a store uses."""

    async def execute(self, query: str, *args: object) -> object: ...
    async def fetchrow(self, query: str, *args: object) -> Mapping[str, Any] | None: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...  # noqa: ANN401  # any column
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...
    def is_in_transaction(self) -> bool: ...


async def in_transaction(on: object) -> Connection:
    """Return how to use the caller's connection, on which a transaction is open.

    Raises:
        InvalidArgumentError: it is of another kind, or has no transaction.
    """
    if isinstance(on, _class("sqlalchemy.ext.asyncio", "AsyncConnection")):
        return await _of_sqlalchemy(cast("AsyncConnection", on))
    if isinstance(on, _class("psycopg", "AsyncConnection")):
        connection: Connection = PsycopgConnection(cast("psycopg.AsyncConnection[Any]", on))
    elif all(callable(getattr(on, method, None)) for method in _METHODS):
        connection = cast("Connection", on)
    else:
        kind = type(on)
        raise InvalidArgumentError(
            "on",
            "needs a connection of asyncpg, an AsyncConnection of psycopg 3, or one of SQLAlchemy "
            "over either (of its session: await session.connection()); "
            f"{kind.__module__}.{kind.__qualname__} is none of these",
        )
    if not connection.is_in_transaction():
        raise InvalidArgumentError("on", "no transaction is open on this connection")
    return connection


_METHODS = ("execute", "fetchrow", "fetchval", "transaction", "is_in_transaction")


def _class(module: str, name: str) -> type:
    """Return a class of a library, or one without instances if the library is not in use."""
    found: type = getattr(sys.modules.get(module), name, _Nothing)
    return found


class _Nothing:
    """Has no instances."""


async def _of_sqlalchemy(connection: "AsyncConnection") -> Connection:
    if not connection.in_transaction():
        raise InvalidArgumentError("on", "no transaction is open on this connection")
    # SQLAlchemy begins the driver's transaction with its own first statement.
    await connection.exec_driver_sql("SELECT 1")
    raw = await connection.get_raw_connection()
    return await in_transaction(raw.driver_connection)


class PsycopgConnection:
    """A psycopg connection with the methods of asyncpg."""

    def __init__(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        self._connection = connection

    async def execute(self, query: str, *args: object) -> object:
        return await self.fetchrow(query, *args)

    async def fetchrow(self, query: str, *args: object) -> Mapping[str, Any] | None:
        from psycopg import AsyncRawCursor  # noqa: PLC0415  # loaded already
        from psycopg.rows import dict_row  # noqa: PLC0415  # likewise

        async with AsyncRawCursor(self._connection, row_factory=dict_row) as cursor:
            await cursor.execute(query.encode(), args or None)
            return await cursor.fetchone() if cursor.description else None

    async def fetchval(self, query: str, *args: object) -> Any:  # noqa: ANN401  # any column
        row = await self.fetchrow(query, *args)
        return None if row is None else next(iter(row.values()))

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        return self._connection.transaction()

    def is_in_transaction(self) -> bool:
        # Without autocommit, psycopg begins a transaction with the next statement.
        status = self._connection.info.transaction_status.name
        return status in {"INTRANS", "INERROR"} or not self._connection.autocommit

"""A save in the caller's transaction, on each kind of connection that is taken."""

import random
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from coachstream import Client, InvalidArgumentError, RateLimits
from coachstream.checkpoints import PostgresStore
from coachstream.emulator import Emulator, World
from tests.support.emulated import LONG_AGO, TOKEN, key
from tests.support.servers import driver

asyncpg = driver("asyncpg")
psycopg = driver("psycopg")
sqlalchemy = driver("sqlalchemy")
sqlalchemy_asyncio = driver("sqlalchemy.ext.asyncio")
pytestmark = pytest.mark.service

TABLES = "DROP TABLE IF EXISTS handled, coachstream_checkpoints"


@pytest.fixture
async def database(postgres_server):
    """The URL of a database with a table for the handlers' effects."""
    connection = await asyncpg.connect(postgres_server)
    await connection.execute(f"{TABLES}; CREATE TABLE handled (id text, updated text)")
    yield postgres_server
    await connection.execute(TABLES)
    await connection.close()


@pytest.fixture
async def feed():
    world = World(sessions=20, changes_per_hour=0)
    async with Emulator(world, page_size=7, sessions_per_second=None) as api:
        limits = RateLimits(sessions=None)
        async with Client(TOKEN, base_url=api.url, rate_limits=limits) as client:
            yield api, client


class Asyncpg:
    """A connection, transactions on it, and a statement of the caller's."""

    @asynccontextmanager
    async def connected(self, url):
        connection = await asyncpg.connect(url)
        try:
            yield connection
        finally:
            await connection.close()

    def transaction(self, connection):
        return connection.transaction()

    async def insert(self, connection, values):
        await connection.execute("INSERT INTO handled VALUES ($1, $2)", *values)


class Psycopg(Asyncpg):
    autocommit = False

    @asynccontextmanager
    async def connected(self, url):
        connect = psycopg.AsyncConnection.connect(url, autocommit=self.autocommit)
        async with await connect as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, connection):
        # A transaction begins with the first statement, and lasts until one of these.
        try:
            yield
        except BaseException:
            await connection.rollback()
            raise
        await connection.commit()

    async def insert(self, connection, values):
        await connection.execute("INSERT INTO handled VALUES (%s, %s)", values)


class PsycopgInBlocks(Psycopg):
    autocommit = True

    def transaction(self, connection):
        return connection.transaction()


class SqlAlchemy(Asyncpg):
    dialect = "postgresql+asyncpg"

    @asynccontextmanager
    async def connected(self, url):
        engine = sqlalchemy_asyncio.create_async_engine(url.replace("postgresql", self.dialect))
        async with engine.connect() as connection:
            yield connection
        await engine.dispose()

    def transaction(self, connection):
        return connection.begin()

    async def insert(self, connection, values):
        insert = sqlalchemy.text("INSERT INTO handled VALUES (:id, :updated)")
        await connection.execute(insert, {"id": values[0], "updated": values[1]})


class SqlAlchemyOverPsycopg(SqlAlchemy):
    dialect = "postgresql+psycopg"


KINDS = (Asyncpg, Psycopg, PsycopgInBlocks, SqlAlchemy, SqlAlchemyOverPsycopg)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param()


@pytest.mark.parametrize("order", ["effect first", "ack first"])
async def test_each_version_has_its_effect_exactly_once(kind, order, database, feed):
    api, client = feed
    end, chance = api.now, random.Random(1)

    async def work(connection, stream, session, *, fails):
        async with kind.transaction(connection):
            if order == "ack first":
                await stream.ack(on=connection)
            await kind.insert(connection, key(session))
            if order == "effect first":
                await stream.ack(on=connection)
            if fails:
                raise ZeroDivisionError

    count = 0
    async with PostgresStore(database) as store, kind.connected(database) as connection:
        while count < 20:  # a new stream after a while, which must go on exactly there
            stream = client.sessions.stream(
                start_time=LONG_AGO, end_time=end, name="loop", store=store, settle="ack"
            )
            async with stream:
                async for session in stream:
                    if chance.randrange(2):
                        with suppress(ZeroDivisionError):
                            await work(connection, stream, session, fails=True)
                    await work(connection, stream, session, fails=False)
                    count += 1
                    if count % 6 == 0:
                        break
    connection = await asyncpg.connect(database)
    handled = [tuple(row) for row in await connection.fetch("SELECT * FROM handled")]
    await connection.close()
    assert Counter(handled) == dict.fromkeys(api.world.latest(), 1)


class Unusable:
    """Connections that can't be taken, and what the error says."""

    async def of_anything_else(self, url, stack):
        return object(), "builtins.object is none of these"

    async def a_pool(self, url, stack):
        pool = await stack.enter_async_context(asyncpg.create_pool(url, min_size=1, max_size=1))
        return pool, "asyncpg.pool.Pool is none of these"

    async def of_blocking_psycopg(self, url, stack):
        connection = stack.enter_context(psycopg.Connection.connect(url))
        return connection, "psycopg.Connection is none of these"

    async def of_blocking_sqlalchemy(self, url, stack):
        engine = sqlalchemy.create_engine("sqlite://")
        stack.callback(engine.dispose)
        return stack.enter_context(
            engine.connect()
        ), "sqlalchemy.engine.base.Connection is none of these"

    async def a_session_of_sqlalchemy(self, url, stack):
        engine = sqlalchemy_asyncio.create_async_engine(url.replace("sql:", "sql+asyncpg:"))
        stack.push_async_callback(engine.dispose)
        session = await stack.enter_async_context(sqlalchemy_asyncio.AsyncSession(engine))
        return session, "await session.connection()"

    async def asyncpg_without_transaction(self, url, stack):
        connection = await stack.enter_async_context(Asyncpg().connected(url))
        return connection, "no transaction is open"

    async def psycopg_without_transaction(self, url, stack):
        connection = await stack.enter_async_context(PsycopgInBlocks().connected(url))
        return connection, "no transaction is open"

    async def sqlalchemy_without_transaction(self, url, stack):
        connection = await stack.enter_async_context(SqlAlchemy().connected(url))
        return connection, "no transaction is open"

    async def sqlalchemy_with_autocommit(self, url, stack):
        connection = await stack.enter_async_context(SqlAlchemy().connected(url))
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await stack.enter_async_context(connection.begin())
        return connection, "no transaction is open"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("unusable", [one for one in vars(Unusable) if one[0] != "_"])
async def test_another_one_is_refused_by_name_and_the_stream_is_as_before(unusable, database, feed):
    api, client = feed
    async with PostgresStore(database) as store, AsyncExitStack() as stack:
        arguments = {"start_time": LONG_AGO, "end_time": api.now, "name": "x", "store": store}
        async with client.sessions.stream(**arguments, settle="ack") as stream:
            for _ in range(3):
                await anext(stream)
            before = stream.position
            on, problem = await getattr(Unusable(), unusable)(database, stack)
            for _ in range(2):
                with pytest.raises(InvalidArgumentError, match="^on: ") as raised:
                    await stream.ack(on=on)
                assert problem in str(raised.value)
            assert stream.position == before
            async with Asyncpg().connected(database) as right, right.transaction():
                await stream.ack(on=right)
            assert len(stream.position.settled) == 3
            found = await store.load("x")
            assert found is not None
            assert found.position == stream.position

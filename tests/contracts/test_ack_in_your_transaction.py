"""A loop that commits its effects and its position in one transaction."""

import random
from collections import Counter
from contextlib import AsyncExitStack, suppress

import pytest

from coachstream import (
    Client,
    InvalidArgumentError,
    RateLimits,
    SaveRolledBackError,
)
from coachstream.checkpoints import PostgresStore
from coachstream.emulator import Emulator, World
from tests.support.emulated import LONG_AGO, TOKEN, key
from tests.support.servers import driver

asyncpg = driver("asyncpg")
pytestmark = pytest.mark.service


@pytest.fixture
async def pool(postgres_server):
    async with asyncpg.create_pool(postgres_server, min_size=1, max_size=6) as one:
        await one.execute("DROP TABLE IF EXISTS handled, coachstream_checkpoints")
        await one.execute("CREATE TABLE handled (id text, updated text)")
        yield one
        await one.execute("DROP TABLE IF EXISTS handled, coachstream_checkpoints")


@pytest.fixture
async def feed():
    world = World(sessions=40, changes_per_hour=0)
    async with Emulator(world, page_size=7, sessions_per_second=None) as api:
        limits = RateLimits(sessions=None)
        async with Client(TOKEN, base_url=api.url, rate_limits=limits) as client:
            yield api, client


async def handled(pool):
    return [(row["id"], row["updated"]) for row in await pool.fetch("SELECT * FROM handled")]


async def follow(client, pool, end, *, trouble):
    """Handle to the end, or until ``trouble`` breaks a transaction."""
    async with PostgresStore(pool) as store:
        stream = client.sessions.stream(
            start_time=LONG_AGO, end_time=end, name="loop", store=store, settle="ack"
        )
        async with stream:
            async for session in stream:
                async with pool.acquire() as connection, connection.transaction():
                    insert = "INSERT INTO handled VALUES ($1, $2)"
                    await connection.execute(insert, *key(session))
                    await trouble(connection, "between")
                    await stream.ack(on=connection)
                    await trouble(connection, "after")


async def test_each_version_has_its_effect_exactly_once_though_backends_are_killed(pool, feed):
    api, client = feed
    end, chance, killed = api.now, random.Random(1), Counter[str]()

    async def trouble(connection, where):
        if chance.random() < 0.1:
            killed[where] += 1
            await pool.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())

    for _ in range(100):
        try:
            await follow(client, pool, end, trouble=trouble)
        except (
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            ConnectionError,
        ):
            continue
        break
    assert killed["between"] > 2
    assert killed["after"] > 2
    assert Counter(await handled(pool)) == dict.fromkeys(api.world.latest(), 1)


async def ack_and_roll_back(stream, pool):
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await stream.ack(on=connection)
        await transaction.rollback()


async def test_a_rolled_back_transaction_rolls_back_the_position(pool, feed):
    api, client = feed
    arguments = {"start_time": LONG_AGO, "end_time": api.now, "name": "loop", "settle": "ack"}
    async with PostgresStore(pool) as store:
        stream = client.sessions.stream(**arguments, store=store)
        first = await anext(stream)
        await ack_and_roll_back(stream, pool)
        await anext(stream)
        # The stream has settled the first session, the store has not: the stream must not go on.
        with pytest.raises(SaveRolledBackError):
            await stream.ack()
        await stream.aclose()
        again = client.sessions.stream(**arguments, store=store)
        assert (await anext(again)).key == first.key
        await again.aclose()


@pytest.mark.parametrize("rollbacks", [1, 2])
@pytest.mark.parametrize("savepoints", [False, True])
async def test_a_transaction_that_is_tried_again_commits_the_position(
    pool, feed, rollbacks, savepoints
):
    api, client = feed
    chance = random.Random(1)

    async def write(connection, stream, session, *, fails):
        async with connection.transaction():
            await connection.execute("INSERT INTO handled VALUES ($1, $2)", *key(session))
            await stream.ack(on=connection)
            if fails:
                raise ZeroDivisionError

    async def write_until_it_is_committed(connection, stream, session):
        fails = rollbacks * chance.randrange(2)
        while True:
            with suppress(ZeroDivisionError):
                await write(connection, stream, session, fails=fails > 0)
                return
            fails -= 1

    async with PostgresStore(pool) as store:
        arguments = {"start_time": LONG_AGO, "end_time": api.now, "name": "loop", "settle": "ack"}
        count = 0
        while count < 40:  # a new stream after a while, which must go on exactly there
            stream = client.sessions.stream(**arguments, store=store)
            async with stream, pool.acquire() as connection, AsyncExitStack() as stack:
                if savepoints:
                    await stack.enter_async_context(connection.transaction())
                async for session in stream:
                    await write_until_it_is_committed(connection, stream, session)
                    count += 1
                    if count % 9 == 0:
                        break
    assert Counter(await handled(pool)) == dict.fromkeys(api.world.latest(), 1)


async def test_an_exception_in_a_batch_loses_none_of_it(pool, feed):
    api, client = feed
    arguments = {"start_time": LONG_AGO, "end_time": api.now, "name": "loop", "settle": "ack"}

    async def write(batch, stream):
        async with pool.acquire() as connection, connection.transaction():
            insert = "INSERT INTO handled VALUES ($1, $2)"
            await connection.executemany(insert, [key(one) for one in batch])
            await stream.ack(on=connection)

    async def follow_in_batches(*, fails_at=None):
        async with PostgresStore(pool) as store:
            stream = client.sessions.stream(**arguments, store=store)
            async with stream:
                batch = []
                async for session in stream:
                    batch.append(session)
                    if len(batch) == fails_at:
                        raise ZeroDivisionError
                    if len(batch) == 10:
                        await write(batch, stream)
                        batch = []
                if batch:
                    await write(batch, stream)

    for fails_at in (7, 3, None):
        with suppress(ZeroDivisionError):
            await follow_in_batches(fails_at=fails_at)
    assert Counter(await handled(pool)) == dict.fromkeys(api.world.latest(), 1)


async def test_only_a_postgres_store_saves_on_a_connection(pool, feed):
    _, client = feed
    async with pool.acquire() as connection, connection.transaction():
        stream = client.sessions.stream(start_time=LONG_AGO, name="x", store={}, settle="ack")
        await anext(stream)
        with pytest.raises(InvalidArgumentError, match="^on: only a PostgresStore"):
            await stream.ack(on=connection)
        stream = client.sessions.stream(start_time=LONG_AGO, name="x", store=PostgresStore(pool))
        await anext(stream)
        with pytest.raises(InvalidArgumentError, match="^on: needs a stream with settle"):
            await stream.ack(on=connection)
        stream = client.sessions.stream(start_time=LONG_AGO)
        await anext(stream)
        with pytest.raises(InvalidArgumentError, match="^on: "):
            await stream.ack(on=connection)

"""A loop that commits its effects and its position in one transaction."""

import random
from collections import Counter

import pytest

from coachstream import (
    Client,
    InvalidArgumentError,
    RateLimits,
    SaveRolledBackError,
    StaleCheckpointError,
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
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=end, name="loop", store=store)
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
    arguments = {"start_time": LONG_AGO, "end_time": api.now, "name": "loop"}
    async with PostgresStore(pool) as store:
        stream = client.sessions.stream(**arguments, store=store)
        first = await anext(stream)
        await ack_and_roll_back(stream, pool)
        await anext(stream)
        # The stream has settled the first session, the store has not: the stream must not go on.
        with pytest.raises(StaleCheckpointError):
            await stream.ack()
        await stream.aclose()
        assert await store.load("loop") is None
        again = client.sessions.stream(**arguments, store=store)
        assert (await anext(again)).key == first.key
        await ack_and_roll_back(again, pool)
        await anext(again)
        with pytest.raises(SaveRolledBackError):
            await again.ack()
        await again.aclose()


async def test_only_a_postgres_store_saves_on_a_connection(pool, feed):
    _, client = feed
    async with pool.acquire() as connection, connection.transaction():
        stream = client.sessions.stream(start_time=LONG_AGO, name="x", store={})
        await anext(stream)
        with pytest.raises(InvalidArgumentError, match="^on: "):
            await stream.ack(on=connection)
        stream = client.sessions.stream(start_time=LONG_AGO)
        await anext(stream)
        with pytest.raises(InvalidArgumentError, match="^on: "):
            await stream.ack(on=connection)

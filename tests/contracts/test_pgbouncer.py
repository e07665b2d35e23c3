"""PostgreSQL behind PgBouncer, which gives each transaction another connection to the server.

``COACHSTREAM_PGBOUNCER_SECONDS=300`` lets the consumers run for five minutes.
"""

import asyncio
import os

import pytest

from coachstream import Client, RateLimits, StoreError, SystemClock, consume
from coachstream.checkpoints import PostgresStore, postgres
from coachstream.consumer import run
from coachstream.emulator import Emulator, World
from tests.contracts.positions import position
from tests.support.emulated import LONG_AGO, TOKEN, key
from tests.support.servers import driver, running_pgbouncer

asyncpg = driver("asyncpg")
pytestmark = pytest.mark.service

SECONDS = float(os.environ.get("COACHSTREAM_PGBOUNCER_SECONDS", "1"))
NAMES = ("first", "second", "third", "fourth")


@pytest.fixture(scope="module")
def pooler(postgres_server):
    with running_pgbouncer(postgres_server) as url:
        yield url


@pytest.mark.timeout(60 + SECONDS)
async def test_four_consumers_go_on(pooler, postgres_server, monkeypatch):
    monkeypatch.setattr(run, "INTERVAL", 0.005)  # so that their saves meet
    world = World(sessions=40, changes_per_hour=0)
    handled: dict[str, list[tuple[str, str]]] = {name: [] for name in NAMES}
    async with (
        Emulator(world, sessions_per_second=None) as api,
        Client(TOKEN, base_url=api.url, rate_limits=RateLimits(sessions=None)) as client,
    ):
        streams = {
            name: client.sessions.stream(start_time=LONG_AGO, poll_interval=0.01) for name in NAMES
        }

        async def consume_all(name: str) -> None:
            async def handle(session) -> None:
                handled[name].append(key(session))

            await consume(streams[name], handle, name=name, store=pooler)

        consuming = [asyncio.ensure_future(consume_all(name)) for name in NAMES]
        clock = SystemClock()
        end = clock.monotonic() + SECONDS
        while clock.monotonic() < end:
            api.world.add_session()
            done, _ = await asyncio.wait(consuming, timeout=0.01)
            assert not done, done
        while any(set(keys) < set(world.latest()) for keys in handled.values()):
            await clock.sleep(0.01)
        for stream in streams.values():
            await stream.aclose()
        await asyncio.gather(*consuming)
        for name in NAMES:
            assert sorted(handled[name]) == sorted(world.latest())
            async with PostgresStore(postgres_server) as there:
                found = await there.load(name)
            assert found is not None
            assert found.position == streams[name].position


async def test_many_saves_at_once(pooler, monkeypatch):
    monkeypatch.setattr(postgres, "TIMEOUT", 60.0)  # a machine that stands still is no failure
    stores = [PostgresStore(pooler) for _ in NAMES]

    async def save_often(store: PostgresStore, name: str) -> None:
        for revision in range(30):
            saved = await store.save(name, position(f"{name} {revision}"), after=revision)
            assert await store.load(name) == saved

    await asyncio.gather(
        *(save_often(store, f"often {n}") for n, store in enumerate(stores)),
        *(save_often(store, f"also often {n}") for n, store in enumerate(stores)),
    )
    for store in stores:
        await store.aclose()


async def test_a_pool_of_yours_with_a_cache_of_statements_is_told_what_to_do(pooler):
    async with asyncpg.create_pool(pooler, min_size=4, max_size=4) as pool:
        store = PostgresStore(pool)
        loads = (store.load(f"name {number}") for number in range(200))
        failures = [one for one in await asyncio.gather(*loads, return_exceptions=True) if one]
    assert failures
    for failure in failures:
        assert isinstance(failure, StoreError)
        assert "give your pool statement_cache_size=0" in str(failure)


async def test_a_pool_of_yours_without_one_works(pooler):
    async with asyncpg.create_pool(pooler, min_size=4, max_size=4, statement_cache_size=0) as pool:
        store = PostgresStore(pool)
        loads = (store.load(f"name {number}") for number in range(200))
        assert await asyncio.gather(*loads) == [None] * 200

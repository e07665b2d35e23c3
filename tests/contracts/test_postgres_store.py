"""What the PostgreSQL store promises beyond what every store does."""

import asyncio
import itertools

import pytest

from coachstream.checkpoints import PostgresStore
from coachstream.errors import InvalidArgumentError, StaleCheckpointError
from tests.contracts.positions import cursor_in, position
from tests.support.servers import driver

asyncpg = driver("asyncpg")
pytestmark = pytest.mark.service

_numbers = itertools.count(1)


@pytest.fixture
async def pool(postgres_server):
    """A user's pool, on a schema with one table for the handlers' effects."""
    schema = f"Yours {next(_numbers)}"
    settings = {"search_path": f'"{schema}"'}
    async with asyncpg.create_pool(
        postgres_server, min_size=1, max_size=4, server_settings=settings
    ) as one:
        await one.execute(f'CREATE SCHEMA "{schema}"')
        await one.execute("CREATE TABLE effects (id text PRIMARY KEY)")
        yield one
        await one.execute(f'DROP SCHEMA "{schema}" CASCADE')


@pytest.fixture
async def store(pool):
    async with PostgresStore(pool) as one:
        yield one


async def effects(pool) -> list[str]:
    return [row["id"] for row in await pool.fetch("SELECT id FROM effects ORDER BY id")]


async def act(connection, effect: str) -> None:
    await connection.execute("INSERT INTO effects VALUES ($1)", effect)


async def test_effect_and_checkpoint_commit_together(pool, store):
    async with pool.acquire() as connection, connection.transaction():
        await act(connection, "paid")
        saved = await store.save("payroll", position("c1"), after=0, on=connection)
        assert await effects(pool) == []
    assert await effects(pool) == ["paid"]
    assert await store.load("payroll") == saved


@pytest.mark.parametrize("loaded_before", [False, True])
async def test_a_failed_transaction_stores_neither(pool, store, loaded_before):
    if loaded_before:
        await store.load("payroll")

    async def handle() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await act(connection, "paid")
            await store.save("payroll", position("c1"), after=0, on=connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await handle()
    assert await effects(pool) == []
    assert await store.load("payroll") is None
    assert (await store.save("payroll", position("c1"), after=0)).revision == 1


@pytest.mark.parametrize("between", ["effect and checkpoint", "checkpoint and commit"])
async def test_a_backend_killed_in_between_stores_neither(pool, store, between):
    await store.save("payroll", position("c1"), after=0)

    async def handle() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await act(connection, "paid")
            if between == "effect and checkpoint":
                await terminate(pool, connection)
            await store.save("payroll", position("c2"), after=1, on=connection)
            await terminate(pool, connection)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await handle()
    assert await effects(pool) == []
    assert await cursor_in(store) == "c1"
    async with pool.acquire() as connection, connection.transaction():
        await act(connection, "paid")
        await store.save("payroll", position("c2"), after=1, on=connection)
    assert await effects(pool) == ["paid"]


async def terminate(pool, connection) -> None:
    assert await pool.fetchval("SELECT pg_terminate_backend($1, 5000)", connection.get_server_pid())


async def test_a_stale_save_rolls_back_the_effect(pool, store):
    await store.save("payroll", position("theirs"), after=0)

    async def handle() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await act(connection, "paid twice")
            await store.save("payroll", position("mine"), after=0, on=connection)

    with pytest.raises(StaleCheckpointError):
        await handle()
    assert await effects(pool) == []


async def test_a_stale_save_does_not_break_the_transaction_it_is_part_of(pool, store):
    await store.save("payroll", position("theirs"), after=0)
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(StaleCheckpointError):
            await store.save("payroll", position("mine"), after=0, on=connection)
        await act(connection, "handled in another way")
    assert await effects(pool) == ["handled in another way"]


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_save_waits_for_an_earlier_transaction(pool, store, after, end):
    await store.load("payroll")
    for revision in range(after):
        await store.save("payroll", position(), after=revision)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await store.save("payroll", position("first"), after=after, on=connection)
        second = asyncio.create_task(store.save("payroll", position("second"), after=after))
        done, _ = await asyncio.wait([second], timeout=0.1)
        assert not done
        await getattr(transaction, end)()
    if end == "commit":
        with pytest.raises(StaleCheckpointError):
            await second
    else:
        await second
    winner = "first" if end == "commit" else "second"
    assert await cursor_in(store) == winner


async def test_a_connection_without_a_transaction_is_refused(pool, store):
    async with pool.acquire() as connection:
        with pytest.raises(InvalidArgumentError, match="on: no transaction is open"):
            await store.save("payroll", position(), after=0, on=connection)
    assert await store.load("payroll") is None


async def test_names_are_checked_in_a_transaction_too(pool, store):
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(InvalidArgumentError, match="name: "):
            await store.save("", position(), after=0, on=connection)


async def test_a_save_on_the_last_connection_of_a_pool_needs_no_other(pool, postgres_server):
    async with asyncpg.create_pool(postgres_server, min_size=1, max_size=1) as small:
        store = PostgresStore(small, table=f"small {next(_numbers)}")
        async with small.acquire() as connection, connection.transaction():
            await store.save("payroll", position("c1"), after=0, on=connection)
        assert await cursor_in(store) == "c1"


async def test_a_pool_of_yours_stays_open(pool, store):
    await store.load("payroll")
    await store.aclose()
    assert await pool.fetchval("SELECT 1") == 1


async def test_many_stores_may_create_the_table_at_once(postgres_server):
    table = f"made at once {next(_numbers)}"
    stores = [PostgresStore(postgres_server, table=table) for _ in range(12)]
    saves = (store.save(f"name {n}", position(), after=0) for n, store in enumerate(stores))
    saved = await asyncio.gather(*saves)
    assert {one.revision for one in saved} == {1}
    await asyncio.gather(*(store.aclose() for store in stores))


async def test_a_table_in_a_schema_of_yours(pool, postgres_server):
    await pool.execute('CREATE SCHEMA IF NOT EXISTS "od""d"')
    async with PostgresStore(pool, schema='od"d', table='ta"ble') as store:
        await store.save("payroll", position(), after=0)
    assert await pool.fetchval('SELECT count(*) FROM "od""d"."ta""ble"') == 1


async def test_a_role_that_may_not_create_tables_can_use_one(pool, store, postgres_server):
    await store.load("payroll")
    schema = await pool.fetchval("SELECT current_schema()")
    role = f"clerk_{next(_numbers)}"
    await pool.execute(f"CREATE ROLE {role} LOGIN")
    await pool.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO {role}')
    await pool.execute(f"GRANT SELECT, INSERT, UPDATE ON coachstream_checkpoints TO {role}")
    async with PostgresStore(
        postgres_server.replace("postgres@", f"{role}@"), schema=schema
    ) as own:
        assert (await own.save("payroll", position(), after=0)).revision == 1


async def test_the_stores_own_connections_are_replaced_after_the_server_dropped_them(
    pool, postgres_server
):
    async with PostgresStore(postgres_server, table=f"dropped {next(_numbers)}") as store:
        await store.save("payroll", position("c1"), after=0)
        await pool.fetch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE query LIKE '%dropped%' AND pid <> pg_backend_pid()"
        )
        await asyncio.wait([asyncio.create_task(pool.fetchval("SELECT pg_sleep(0.05)"))])
        await store.save("payroll", position("c2"), after=1)


async def test_the_store_opens_few_connections_and_closes_them(pool, postgres_server):
    table = f"few {next(_numbers)}"
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
    async with PostgresStore(f"{postgres_server}?application_name=few", table=table) as store:
        saves = (store.save(f"name {n}", position(), after=0) for n in range(20))
        await asyncio.gather(*saves)
        assert 1 <= await pool.fetchval(count, "few") <= 2
    for _ in range(100):
        if await pool.fetchval(count, "few") == 0:
            break
        await pool.fetchval("SELECT pg_sleep(0.02)")
    assert await pool.fetchval(count, "few") == 0


@pytest.mark.parametrize("table", ["", "a\0b"])
def test_a_table_needs_a_name(table):
    with pytest.raises(InvalidArgumentError, match="table: "):
        PostgresStore("postgresql://localhost/", table=table)


@pytest.mark.parametrize("database", [None, {}])
def test_anything_but_a_url_or_a_pool_is_refused(database):
    with pytest.raises(InvalidArgumentError, match="database: a .* is neither a URL"):
        PostgresStore(database)

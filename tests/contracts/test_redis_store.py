"""What the Redis store promises beyond what every store does."""

import itertools

import pytest

from coachstream.checkpoints import RedisStore
from coachstream.errors import CorruptCheckpointError, InvalidArgumentError
from tests.contracts.positions import full, position
from tests.support.servers import driver

redis = driver("redis.asyncio")
pytestmark = pytest.mark.service

_numbers = itertools.count(1)


@pytest.fixture
def prefix() -> str:
    return f"redis test {next(_numbers)}:"


@pytest.fixture
async def client(redis_server):
    async with redis.from_url(redis_server) as one:
        yield one


async def test_a_client_of_yours_stays_open(client, prefix):
    async with RedisStore(client, prefix=prefix) as store:
        await store.save("payroll", position(), after=0)
    assert await client.ping()


async def test_a_client_of_yours_may_decode(redis_server, prefix):
    async with redis.from_url(redis_server, decode_responses=True) as client:
        store = RedisStore(client, prefix=prefix)
        saved = await store.save("payroll", full(3), after=0)
        assert await store.load("payroll") == saved
        await store.save("payroll", full(2), after=1)


async def test_a_repeated_save_succeeds(client, prefix, monkeypatch):
    """Clients repeat it when the connection breaks before the response."""
    store = RedisStore(client, prefix=prefix)
    run = client.eval

    async def twice(*args):
        await run(*args)
        return await run(*args)

    monkeypatch.setattr(client, "eval", twice)
    for revision in range(3):
        assert (await store.save("payroll", position(), after=revision)).revision == revision + 1


@pytest.mark.parametrize(
    "fields", [{"revision": 1}, {"value": b"{}"}, {"revision": "one", "value": b"{}"}]
)
async def test_half_a_checkpoint_is_damage(client, prefix, fields):
    await client.hset(f"{prefix}payroll", mapping=fields)
    store = RedisStore(client, prefix=prefix)
    with pytest.raises(CorruptCheckpointError):
        await store.load("payroll")
    with pytest.raises(CorruptCheckpointError):
        await store.save("payroll", position(), after=0)


async def test_each_name_has_its_own_hash(client, prefix):
    store = RedisStore(client, prefix=prefix)
    await store.save("payroll", position(), after=0)
    assert await client.keys(f"{prefix}*") == [f"{prefix}payroll".encode()]
    assert await client.hget(f"{prefix}payroll", "revision") == b"1"
    assert await client.ttl(f"{prefix}payroll") == -1


@pytest.mark.parametrize("server", [None, {}, object()])
def test_anything_but_a_url_or_a_client_is_refused(server):
    with pytest.raises(InvalidArgumentError, match="server: "):
        RedisStore(server)


def test_a_blocking_client_is_refused(redis_server):
    client = driver("redis").Redis.from_url(redis_server)
    with pytest.raises(InvalidArgumentError, match=r"redis\.asyncio"):
        RedisStore(client)
    client.close()


async def test_only_keys_with_exactly_the_prefix_are_listed(client, prefix):
    odd = RedisStore(client, prefix=f"{prefix}[a-c]*?\\^")
    other = RedisStore(client, prefix=f"{prefix}axy\\^")
    await odd.save("mine", position(), after=0)
    await other.save("theirs", position(), after=0)
    assert await odd.list() == ["mine"]
    assert await other.list() == ["theirs"]


async def test_a_client_that_decodes_lists_too(redis_server, prefix):
    async with redis.from_url(redis_server, decode_responses=True) as client:
        store = RedisStore(client, prefix=prefix)
        await store.save("Ünï", position(), after=0)
        assert await store.list() == ["Ünï"]

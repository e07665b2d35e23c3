"""A place that can't be written is found out before the first session is handed over."""

import asyncio
import itertools
import os
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from coachstream import CheckpointError, Client, Position, RateLimits, StoreRefusedError, consume
from coachstream.checkpoints import NatsStore, PostgresStore, RedisStore, nats, opened
from coachstream.emulator import Emulator, World
from tests.support.emulated import LONG_AGO, TOKEN
from tests.support.servers import driver, running_nats

_numbers = itertools.count(1)
NOBODY = 65534
NAME = "payroll"
_QUERY = "startTime=1970-01-01T00%3A00%3A00Z"
START = Position(query=_QUERY, origin=_QUERY)


def set_rights(directory, read_only=()):
    """Let everybody write to all but these paths."""
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    for path in read_only:
        (directory / path).chmod(0o555)


@asynccontextmanager
async def read_only(url, *paths):
    """Save in the store, and take the right to write to these paths of its directory."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with opened(url.format(directory)) as store:
            await store.save(NAME, START, after=0)
        set_rights(directory, paths)
        if user == 0:  # who needs no rights
            os.seteuid(NOBODY)
        try:
            yield url.format(directory), "Let this process write"
        finally:
            os.seteuid(user)
            set_rights(directory)


@pytest.fixture
async def file_store():
    async with read_only("file:{}/state", "state") as one:
        yield one


@pytest.fixture
async def sqlite_file():
    async with read_only("sqlite:{}/state", "state") as one:
        yield one


@pytest.fixture
async def sqlite_directory():
    async with read_only("sqlite:{}/state", ".") as one:
        yield one


@pytest.fixture
async def postgres(postgres_server):
    number = next(_numbers)
    asyncpg = driver("asyncpg")
    admin = await asyncpg.connect(postgres_server)
    async with PostgresStore(postgres_server, table=f"read only {number}") as store:
        await store.save(NAME, START, after=0)
    await admin.execute(f"CREATE ROLE reader_{number} LOGIN")
    await admin.execute(f'GRANT SELECT ON "read only {number}" TO reader_{number}')
    await admin.close()
    url = postgres_server.replace("postgres@", f"reader_{number}@")
    async with PostgresStore(url, table=f"read only {number}") as store:
        yield store, "Grant SELECT, INSERT, UPDATE and DELETE on the table"


@pytest.fixture
async def redis(redis_server):
    number = next(_numbers)
    async with RedisStore(redis_server, prefix=f"read only {number}:") as store:
        await store.save(NAME, START, after=0)
    async with driver("redis.asyncio").from_url(redis_server) as admin:
        user = f"reader{number}"
        await admin.acl_setuser(
            user, enabled=True, passwords=["+hunter2"], keys=["*"], commands=["+@read", "+eval"]
        )
        url = redis_server.replace("redis://", f"redis://{user}:hunter2@")
        async with RedisStore(url, prefix=f"read only {number}:") as store:
            yield store, f"on the keys read only {number}:*"
        await admin.acl_deluser(user)


@pytest.fixture(scope="module")
def guarded_nats():
    rights = 'publish: {deny: "$KV.>"}'
    users = (
        f"{{user: admin, password: x}}, {{user: r, password: hunter2, permissions: {{{rights}}}}}"
    )
    with running_nats(f"authorization {{ users: [{users}] }}") as url:
        yield url


@pytest.fixture
async def nats_bucket(guarded_nats, monkeypatch):
    monkeypatch.setattr(nats, "TIMEOUT", 0.3)
    async with NatsStore(guarded_nats.replace("//", "//admin:x@")) as store:
        if await store.load(NAME) is None:
            await store.save(NAME, START, after=0)
    async with NatsStore(guarded_nats.replace("//", "//r:hunter2@")) as store:
        yield store, "Allow the user to publish and subscribe to $JS.API.>, $KV."


service = pytest.mark.service


@pytest.fixture(
    params=[
        "file_store",
        "sqlite_file",
        "sqlite_directory",
        pytest.param("postgres", marks=service),
        pytest.param("redis", marks=service),
        pytest.param("nats_bucket", marks=service),
    ]
)
def place(request):
    """A place that can be read and not written, and what is to be done about it."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def client():
    """A client of a feed with sessions."""
    async with (
        Emulator(World(sessions=40, changes_per_hour=0), sessions_per_second=None) as api,
        Client(TOKEN, base_url=api.url, rate_limits=RateLimits(sessions=None)) as one,
    ):
        yield one


@pytest.mark.parametrize("way", ["consume", "loop", "pages of yours"])
async def test_nothing_is_handed_over(place, client, way):
    store, advice = place
    handler = AsyncMock()

    async def read() -> None:
        if way == "loop":
            stream = client.sessions.stream(start_time=LONG_AGO, name=NAME, store=store)
            async for session in stream:
                await handler(session)
        elif way == "consume":
            stream = client.sessions.stream(start_time=LONG_AGO)
            await consume(stream, handler, name=NAME, store=store)
        else:
            stream = client.sessions.stream(start_time=LONG_AGO)
            await consume(lambda _: stream.pages(), handler, name=NAME, store=store)

    with pytest.raises(StoreRefusedError) as raised:
        await asyncio.wait_for(read(), 20)
    handler.assert_not_called()
    message = str(raised.value)
    assert "Store('" in message
    assert f"ing '{NAME}' failed" in message
    assert advice in message
    assert "hunter2" not in message
    assert isinstance(raised.value, CheckpointError)
    assert raised.value.__cause__ is not None

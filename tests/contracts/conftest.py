"""Fixtures of the tests that run over every store."""

from collections.abc import AsyncIterator

import pytest

from tests.contracts.storages import STORAGES, Storage
from tests.support.servers import nats_server, postgres_server, redis_server

__all__ = ["nats_server", "postgres_server", "redis_server"]  # fixtures of the tests here

SERVERS = {"postgres": "postgres_server", "redis": "redis_server", "nats": "nats_server"}


BLOCKING_DRIVERS = {
    "asyncpg/connect_utils.py": "_parse_connect_dsn_and_args",  # reads ~/.pgpass and the like
    "redis/utils.py": "get_lib_version",  # reads its own version
}
"""Where drivers read small files on the event loop when they connect."""


@pytest.fixture(autouse=True)
def _drivers_may_block(_nothing_blocks_the_loop) -> None:
    for check in _nothing_blocks_the_loop.functions.values():
        for file, function in BLOCKING_DRIVERS.items():
            check.can_block_in(file, function)


@pytest.fixture(
    params=[
        pytest.param(kind, marks=pytest.mark.service if kind in SERVERS else ())
        for kind in STORAGES
    ]
)
def kind(request) -> str:
    """Each kind of storage in turn."""
    name: str = request.param
    return name


@pytest.fixture
def location(request, kind, tmp_path):
    """Where a storage of this kind can be created: a server's URL or a directory."""
    return request.getfixturevalue(SERVERS[kind]) if kind in SERVERS else tmp_path


@pytest.fixture
async def storage(kind, location) -> AsyncIterator[Storage]:
    """An empty storage."""
    async with STORAGES[kind](location) as one:
        yield one


@pytest.fixture
async def store(storage):
    """A store on that storage."""
    async with storage.store() as one:
        yield one

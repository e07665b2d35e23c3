"""Fixtures of the suites that run over every store."""

from collections.abc import AsyncIterator

import pytest

from tests.contracts.storages import STORAGES, Storage
from tests.support.servers import nats_server, postgres_server, redis_server

__all__ = ["nats_server", "postgres_server", "redis_server"]  # fixtures of the tests here

SERVERS = {"postgres": "postgres_server", "redis": "redis_server", "nats": "nats_server"}


DRIVERS_OWN = {
    "asyncpg/connect_utils.py": "_parse_connect_dsn_and_args",  # looks for ~/.pgpass and the like
    "redis/utils.py": "get_lib_version",  # asks for its own version
}
"""Where drivers look at small files, on the event loop, whenever they connect."""


@pytest.fixture(autouse=True)
def _but_for_what_drivers_do(_nothing_blocks_the_loop) -> None:
    for check in _nothing_blocks_the_loop.functions.values():
        for file, function in DRIVERS_OWN.items():
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
def place(request, kind, tmp_path):
    """Where such a storage can be made."""
    return request.getfixturevalue(SERVERS[kind]) if kind in SERVERS else tmp_path


@pytest.fixture
async def storage(kind, place) -> AsyncIterator[Storage]:
    """A storage with nothing in it."""
    async with STORAGES[kind](place) as one:
        yield one


@pytest.fixture
async def store(storage):
    """A store on that storage."""
    async with storage.store() as one:
        yield one

"""`open_store` and `opened`: the store for each kind of argument."""

import subprocess
import sys
from collections import UserDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream import checkpoints
from coachstream.checkpoints import (
    FileStore,
    MappingStore,
    MemoryStore,
    NatsStore,
    PostgresStore,
    RedisStore,
    SqliteStore,
    Store,
    open_store,
    opened,
    opening,
)
from coachstream.checkpoints.drivers import without_secrets
from coachstream.errors import ClosedError, InvalidArgumentError
from tests.contracts.positions import position

SERVERS: dict[str, tuple[type[Store], str, str]] = {
    "postgresql://host/db": (PostgresStore, "asyncpg", "postgres"),
    "postgres://host/db": (PostgresStore, "asyncpg", "postgres"),
    "redis://host": (RedisStore, "redis", "redis"),
    "rediss://host/1": (RedisStore, "redis", "redis"),
    "nats://host": (NatsStore, "nats", "nats"),
}


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        ("memory:", MemoryStore, "MemoryStore()"),
        ("file:checkpoints", FileStore, "FileStore('checkpoints')"),
        ("file:/var/lib/coach", FileStore, "FileStore('/var/lib/coach')"),
        ("sqlite:coach.db", SqliteStore, "SqliteStore('coach.db')"),
        ("sqlite:/var/lib/100%.db", SqliteStore, "SqliteStore('/var/lib/100%.db')"),
    ],
)
def test_a_url_names_an_embedded_store(url, kind, shown):
    store = open_store(url)
    assert isinstance(store, kind)
    assert repr(store) == shown


@pytest.mark.parametrize("url", SERVERS)
def test_a_url_names_a_server(url):
    kind, _, _ = SERVERS[url]
    store = open_store(url)
    assert isinstance(store, kind)
    assert repr(store) == f"{kind.__name__}({url!r})"


@pytest.mark.parametrize("url", SERVERS)
def test_a_missing_driver_is_reported_with_its_extra(url, monkeypatch):
    _, driver, extra = SERVERS[url]
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(InvalidArgumentError) as raised:
        open_store(url)
    assert str(raised.value) == (
        f"store: {driver} is not installed: pip install 'coachstream[{extra}]'"
    )


def test_a_store_is_returned_as_it_is():
    class Yours:
        """All that a store needs."""

        load = MemoryStore().load
        save = MemoryStore().save

    yours = Yours()
    assert open_store(yours) is yours


@pytest.mark.parametrize("mapping", [{}, UserDict()])
async def test_a_mapping_becomes_a_store(mapping):
    store = open_store(mapping)
    assert isinstance(store, MappingStore)
    assert repr(store) == f"MappingStore({type(mapping).__name__})"
    await store.save("payroll", position(), after=0)
    assert list(mapping) == ["payroll"]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "none of"),
        ("coach.db", "none of"),
        ("memory:x", "none of"),
        ("file:", 'write "file:relative/path"'),
        ("sqlite:", 'write "sqlite:relative/path"'),
        ("sqlite:///coach.db", 'write "sqlite:relative/path" or "sqlite:/absolute/path"'),
        ("file://host/path", 'write "file:relative/path"'),
        ("sqlite::memory:", "MemoryStore"),
        ("redis:host", "none of"),
        ("mysql://u:hunter2@host", "'mysql' is none of"),
        ("u:hunter2@host", "none of"),
        (None, "a NoneType is none of"),
        (7, "a int is none of"),
        (b"sqlite:x", "a bytes is none of"),
        (("sqlite:x",), "a tuple is none of"),
    ],
)
def test_anything_else_is_an_error_that_shows_no_password(url, problem):
    with pytest.raises(InvalidArgumentError) as raised:
        open_store(url)
    assert problem in str(raised.value)
    assert "hunter2" not in str(raised.value)


async def test_a_store_that_was_opened_is_closed():
    async with opened("memory:") as store:
        assert await store.load("payroll") is None
    with pytest.raises(ClosedError):
        await store.load("payroll")


@pytest.mark.parametrize("store", ["memory:", "itself"])
async def test_your_own_error_is_not_replaced_by_a_failure_to_close(store, monkeypatch):
    class Fails(MemoryStore):
        async def _close(self):
            raise OSError("closing failed")

    monkeypatch.setattr(opening, "MemoryStore", Fails)
    with pytest.raises(KeyError, match="mine") as raised:
        async with Fails() if store == "itself" else opened(store):
            raise KeyError("mine")
    assert raised.value.__notes__ == ["closing the store failed, too: OSError: closing failed"]


async def test_a_store_that_was_passed_in_is_not_closed():
    mine = MemoryStore()
    async with opened(mine) as store:
        assert store is mine
    assert await mine.load("payroll") is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2@host:6379/0", "redis://host:6379/0"),
        ("postgresql://u:hunter2@host/db", "postgresql://host/db"),
        ("postgresql://host/db?password=hunter2", "postgresql://host/db"),
        ("postgresql://host/db?user=a@b&password=hunter2", "postgresql://..."),
        ("postgresql://u:hun/ter2@host/db", "postgresql://..."),
        ("postgresql://u:hun@ter2@host/db", "postgresql://host/db"),
        ("postgresql://u:hun#ter2@host/db", "postgresql://..."),
        ("postgresql://u:hun?ter2@host/db", "postgresql://..."),
        ("postgresql://u:hunter2@one:1,two:2/db", "postgresql://..."),
        ("postgresql://u:hunter2@[::1]:5432/db", "postgresql://[::1]:5432/db"),
        ("postgresql://u:hunter2@[::1/db", "postgresql://..."),
        ("redis://:hunter2", "redis://..."),
        ("nats://token@host:4222", "nats://host:4222"),
        ("host=there password=hunter2", "..."),
    ],
)
def test_a_shown_url_has_no_password(url, shown):
    assert without_secrets(url) == shown


@given(password=st.text(min_size=6), user=st.sampled_from(["", "u"]))
def test_no_password_is_ever_shown(password, user):
    assert password not in without_secrets(f"redis://{user}:{password}@h/0")[len("redis://h/0") :]


def test_all_public_names_exist():
    assert checkpoints.__all__ == sorted(checkpoints.__all__)
    for name in checkpoints.__all__:
        assert getattr(checkpoints, name)
    assert all(
        issubclass(getattr(checkpoints, name), Store)
        for name in checkpoints.__all__
        if name.endswith("Store") and name != "CheckpointStore"
    )


def test_importing_loads_no_driver():
    script = (
        "import sys, coachstream.checkpoints as c\n"
        "c.PostgresStore('postgres://h'), c.RedisStore('redis://h'), c.NatsStore('nats://h')\n"
        "sys.exit(len({'asyncpg', 'redis', 'nats'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

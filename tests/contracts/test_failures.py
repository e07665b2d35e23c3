"""What a store's failure says: the store, the name, and what to do. The driver's is its cause."""

import sqlite3

import pytest

from coachstream import CheckpointError, InvalidArgumentError, StoreError, StoreRefusedError
from coachstream.checkpoints import MappingStore, PostgresStore, nats, opened, postgres, redis
from tests.contracts.positions import position
from tests.support.servers import free_port

UP = "Check that the server is up"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    for module in (nats, postgres, redis):
        monkeypatch.setattr(module, "TIMEOUT", 0.3)


async def failure_of(store):
    """Return what loading raises, after a look at what every such error says."""
    async with opened(store) as one:
        with pytest.raises(StoreError) as raised:
            await one.load("payroll")
        error = raised.value
        assert isinstance(error, CheckpointError)
        assert str(error).startswith(f"{one!r}: loading 'payroll' failed (")
    assert "hunter" not in f"{error} {error!r}"
    assert isinstance(error.__cause__, Exception)
    assert error.transient == (not isinstance(error, StoreRefusedError))
    return error


@pytest.mark.parametrize("scheme", ["postgresql", "redis", "nats"])
async def test_a_server_that_is_down_may_come_up(scheme):
    error = await failure_of(f"{scheme}://payroll:hunter2@127.0.0.1:{free_port()}")
    assert UP in str(error)
    assert "Connect call failed" in str(error)
    assert error.transient


@pytest.mark.parametrize("path", ["missing/state", "file/state"])
@pytest.mark.parametrize("scheme", ["file", "sqlite"])
async def test_a_wrong_path_does_not_mend(scheme, path, tmp_path):
    (tmp_path / "file").touch()
    url = f"{scheme}:{tmp_path / path}"
    if (scheme, path) == ("file", "missing/state"):  # where nothing is, nothing is stored
        async with opened(url) as store:
            assert await store.load("payroll") is None
            with pytest.raises(StoreRefusedError, match="Create the directory"):
                await store.save("payroll", position(), after=0)
        return
    error = await failure_of(url)
    assert isinstance(error, StoreRefusedError)
    assert "the path" in str(error)


async def test_a_bug_is_raised_as_it_is():
    class Wrong(dict[str, bytes]):
        def get(self, *_: object) -> object:  # type: ignore[override]
            raise AttributeError("no such thing")

    with pytest.raises(AttributeError, match="no such thing"):
        await MappingStore(Wrong()).load("payroll")


async def test_any_other_error_of_a_mapping_of_yours_is_explained():
    class Remote(dict[str, bytes]):
        def get(self, *_: object) -> object:  # type: ignore[override]
            raise sqlite3.OperationalError("gone")

    error = await failure_of(MappingStore(Remote()))
    assert str(error).endswith("failed (gone). Check its storage.")


@pytest.mark.service
async def test_a_wrong_password_does_not_mend(redis_server):
    error = await failure_of(redis_server.replace("//", "//payroll:hunter2@"))
    assert isinstance(error, StoreRefusedError)
    assert "Check the user and the password" in str(error)


@pytest.mark.service
async def test_what_postgres_refuses_does_not_mend(postgres_server):
    error = await failure_of(postgres_server.replace("postgres@", "nobody:hunter2@"))
    assert isinstance(error, StoreRefusedError)
    assert "Check the user and the password" in str(error)
    error = await failure_of(postgres_server.removesuffix("postgres") + "elsewhere")
    assert isinstance(error, StoreRefusedError)
    assert "Create the database" in str(error)


@pytest.mark.service
async def test_a_missing_schema_does_not_mend(postgres_server):
    async with PostgresStore(postgres_server, schema="hidden") as store:
        assert "Create the schema" in str(await failure_of(store))


@pytest.mark.service
async def test_a_missing_database_of_redis_does_not_mend(redis_server):
    error = await failure_of(redis_server.replace("/0", "/99"))
    assert isinstance(error, StoreRefusedError)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2/x@127.0.0.1:1/db",
        "postgresql://u:hunter[2@127.0.0.1:1/db",
        "redis://u:hunter2/x@127.0.0.1:1",
    ],
)
async def test_a_url_that_cannot_be_read_is_not_shown(url):
    async with opened(url) as store:
        with pytest.raises(InvalidArgumentError, match="percent-encode") as raised:
            await store.load("payroll")
    assert "hunter" not in f"{raised.value} {raised.value!r}"
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__

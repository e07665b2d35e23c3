"""What every store promises: the public suite, and the additions of this package's stores."""

import asyncio
import gc
import warnings
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from coachstream.checkpoints import MemoryStore
from coachstream.checkpoints import store as store_module
from coachstream.checkpoints.encoding import FORMAT, encode
from coachstream.errors import (
    ClosedError,
    CorruptCheckpointError,
    InvalidArgumentError,
    NewerCheckpointError,
    StaleCheckpointError,
)
from coachstream.testing.contracts import StoreContract
from coachstream.testing.contracts.store import NAMES
from tests.contracts.positions import cursor_in, position, positions


class TestEveryStore(StoreContract):
    """The public suite, which is also for users' own stores."""

    @pytest.fixture
    def make_store(self, storage):
        return storage.store


@pytest.mark.parametrize("after", [0, 1, 3, -1, 10**6])
async def test_a_refused_save_names_the_checkpoint_and_changes_nothing(storage, store, after):
    await store.save("payroll", position("c1"), after=0)
    await store.save("payroll", position("c2"), after=1)
    before = await storage.read_raw("payroll")
    with pytest.raises(StaleCheckpointError, match="payroll"):
        await store.save("payroll", position("mine"), after=after)
    assert await storage.read_raw("payroll") == before
    assert await cursor_in(store) == "c2"


@pytest.mark.parametrize(
    "name", ["", "x" * 201, "a\nb", "a\0", "\x1b", "\x85", "\ud800", "\u2028", None, 7, b"payroll"]
)
async def test_an_invalid_name_is_refused(store, name):
    with pytest.raises(InvalidArgumentError, match="name: "):
        await store.load(name)
    with pytest.raises(InvalidArgumentError, match="name: "):
        await store.save(name, position(), after=0)


async def test_closing_twice_is_harmless(storage):
    unused = storage.store()
    await unused.aclose()
    await unused.aclose()
    used = storage.store()
    await used.save("payroll", position(), after=0)
    await asyncio.gather(used.aclose(), used.aclose())
    await used.aclose()


# Whoever lets a loop end with open connections gets a warning from the driver or from asyncio.
leaves_connections_open = pytest.mark.filterwarnings("ignore::ResourceWarning")


@leaves_connections_open
def test_one_store_serves_one_loop_after_another(storage):
    """Each loop ends without closing the store, as ``asyncio.run`` in a script does."""
    store = storage.store()
    for revision in range(3):
        saved = asyncio.run(store.save("payroll", position(), after=revision))
        assert asyncio.run(store.load("payroll")) == saved
    asyncio.run(store.aclose())
    del store
    gc.collect()


@leaves_connections_open
async def test_one_store_serves_several_loops_at_once(storage):
    stores = [storage.store()]

    async def use(name: str) -> None:
        for revision in range(5):
            await stores[0].save(name, position(name), after=revision)
            assert await cursor_in(stores[0], name) == name

    names = ("first", "second", "third")
    await asyncio.gather(use("here"), *(asyncio.to_thread(asyncio.run, use(n)) for n in names))
    await stores.pop().aclose()
    gc.collect()


async def test_closing_is_bounded_whatever_hangs():
    class Hanging(MemoryStore):
        async def _close(self) -> None:
            await asyncio.Event().wait()

    expected = pytest.raises(TimeoutError, match=r"MemoryStore\(\) did not close within 0.1 s")
    with patch.object(store_module, "CLOSING", 0.1), expected:
        await Hanging().aclose()


async def test_a_closed_store_raises(storage):
    async with storage.store() as store:
        await store.save("payroll", position(), after=0)
    with pytest.raises(ClosedError):
        await store.load("payroll")
    with pytest.raises(ClosedError):
        await store.save("payroll", position(), after=1)


async def test_a_value_of_a_later_format_is_refused_and_left_alone(storage, store):
    await store.save("payroll", position(), after=0)
    later = msgspec.json.encode({"format": FORMAT + 1, "place": ["unheard of"]})
    await storage.write_raw("payroll", 1, later)
    before = await storage.read_raw("payroll")
    with pytest.raises(NewerCheckpointError, match="payroll"):
        await store.load("payroll")
    for after in (0, 1):
        with pytest.raises(NewerCheckpointError):
            await store.save("payroll", position("mine"), after=after)
    assert await storage.read_raw("payroll") == before


async def test_a_damaged_value_is_refused_and_left_alone(storage, store):
    await store.save("payroll", position(), after=0)
    await storage.damage("payroll")
    before = await storage.read_raw("payroll")
    with pytest.raises(CorruptCheckpointError, match=r"payroll.*remove it"):
        await store.load("payroll")
    for after in (0, 1):
        with pytest.raises(CorruptCheckpointError):
            await store.save("payroll", position("mine"), after=after)
    assert await storage.read_raw("payroll") == before


@pytest.mark.parametrize("revision", [0, -1])
async def test_an_impossible_revision_is_damage(storage, store, revision):
    await store.save("payroll", position(), after=0)
    await storage.write_raw("payroll", revision, encode(position()))
    with pytest.raises(CorruptCheckpointError, match="revision"):
        await store.load("payroll")
    with pytest.raises(CorruptCheckpointError):
        await store.save("payroll", position("mine"), after=revision)


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(any_position=positions)
def test_any_position_survives(storage, any_position):
    async def round_trip() -> None:
        async with storage.store() as store:
            found = await store.load("any")
            after = 0 if found is None else found.revision
            await store.save("any", any_position, after=after)
            assert (await store.load("any")).position == any_position

    asyncio.run(round_trip())


async def test_a_closed_store_causes_no_warnings(storage):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with storage.store() as store:
            await store.save("payroll", position(), after=0)


async def test_the_repr_shows_the_kind_of_store(storage):
    store = storage.store()
    assert repr(store).startswith(f"{type(store).__name__}(")


# Listing and deleting


async def test_nothing_is_listed_before_anything_is_saved(store):
    assert await store.list() == []
    assert not await store.delete("payroll")
    assert await store.list() == []


async def test_all_names_are_listed_in_order(store):
    for name in NAMES:
        await store.save(name, position(), after=0)
        await store.save(name, position("c2"), after=1)
    assert await store.list() == sorted(NAMES)


async def test_a_name_that_is_deleted_is_forgotten_and_no_other(storage, store):
    for name in NAMES:
        await store.save(name, position(name), after=0)
    for number, name in enumerate(NAMES, 1):
        assert await store.delete(name)
        assert not await store.delete(name)
        assert await store.load(name) is None
        assert await store.list() == sorted(NAMES[number:])
    async with storage.store() as another:
        assert await another.list() == []


async def test_a_deleted_name_begins_again_and_stops_who_goes_on_with_it(storage, store):
    for revision in range(3):
        await store.save("payroll", position("old"), after=revision)
    async with storage.store() as another:
        assert await another.delete("payroll")
    with pytest.raises(StaleCheckpointError):
        await store.save("payroll", position("old"), after=3)
    assert (await store.save("payroll", position("new"), after=0)).revision == 1
    assert await store.list() == ["payroll"]


async def test_a_damaged_checkpoint_is_listed_and_can_be_deleted(storage, store):
    await store.save("payroll", position(), after=0)
    await store.save("payroll", position(), after=1)
    await storage.damage("payroll")
    assert await store.list() == ["payroll"]
    assert await store.delete("payroll")
    assert await store.load("payroll") is None


async def test_a_closed_store_neither_lists_nor_deletes(storage):
    async with storage.store() as store:
        await store.save("payroll", position(), after=0)
    with pytest.raises(ClosedError):
        await store.list()
    with pytest.raises(ClosedError):
        await store.delete("payroll")


async def test_only_a_valid_name_can_be_deleted(store):
    with pytest.raises(InvalidArgumentError, match="name: "):
        await store.delete("a\nb")

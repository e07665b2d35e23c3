"""What every store promises."""

import asyncio
import warnings
from contextlib import AsyncExitStack

import msgspec
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings

from coachstream.checkpoints import Checkpoint
from coachstream.checkpoints.record import FORMAT, encode
from coachstream.errors import (
    ClosedError,
    CorruptCheckpointError,
    InvalidArgumentError,
    NewerCheckpointError,
    StaleCheckpointError,
)
from tests.contracts.positions import cursor_in, full, position, positions

ODD_NAMES = [
    "payroll",
    "PAYROLL",
    "pay roll",
    "pay.roll",
    ".payroll",
    "..",
    ".",
    "../payroll",
    "/etc/payroll",
    "a/b",
    "a%2fb",
    "a=2Fb",
    "*",
    ">",
    "$KV",
    "payroll.json",
    "payroll.json.previous",
    "'; DROP TABLE coachstream_checkpoints; --",
    "Ünïcödé \U0001f69a",
    "e\u0301",
    "\u00e9",
    "x" * 200,
    "x" * 199 + "y",
    "\U0001f69a" * 200,
    "coachstream:checkpoint:payroll",
]


async def test_an_unknown_name_has_nothing(store):
    assert await store.load("payroll") is None


async def test_what_is_saved_is_loaded(store):
    saved = await store.save("payroll", full(3), after=0)
    assert saved == Checkpoint(position=full(3), revision=1)
    assert await store.load("payroll") == saved


async def test_fields_without_a_value_come_back_without_one(store):
    bare = position(None)
    await store.save("payroll", bare, after=0)
    assert (await store.load("payroll")).position == bare


async def test_five_thousand_settled_keys_fit(store):
    await store.save("payroll", full(5_000), after=0)
    assert (await store.load("payroll")).position == full(5_000)
    await store.save("payroll", full(5_001), after=1)


async def test_revisions_count_the_saves(store):
    for revision in range(1, 6):
        saved = await store.save("payroll", position(f"c{revision}"), after=revision - 1)
        assert saved.revision == revision
        assert await store.load("payroll") == saved


@pytest.mark.parametrize("after", [0, 1, 3, -1, 10**6])
async def test_a_save_after_another_revision_is_refused_and_changes_nothing(storage, store, after):
    await store.save("payroll", position("c1"), after=0)
    await store.save("payroll", position("c2"), after=1)
    before = await storage.look("payroll")
    with pytest.raises(StaleCheckpointError, match="payroll"):
        await store.save("payroll", position("mine"), after=after)
    assert await storage.look("payroll") == before
    assert await cursor_in(store) == "c2"


async def test_a_save_after_a_revision_of_nothing_is_refused(store):
    with pytest.raises(StaleCheckpointError):
        await store.save("payroll", position(), after=1)
    assert await store.load("payroll") is None


async def test_a_consumer_that_was_overtaken_learns_of_it(storage, store):
    async with storage.store() as other:
        await store.save("payroll", position("c1"), after=0)
        await other.load("payroll")
        await other.save("payroll", position("theirs"), after=1)
        with pytest.raises(StaleCheckpointError):
            await store.save("payroll", position("mine"), after=1)
        assert await cursor_in(store) == "theirs"


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("stores", [1, 4])
async def test_of_many_saves_at_once_exactly_one_wins(storage, after, stores):
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(storage.store()) for _ in range(stores)]
        for revision in range(after):
            await opened[0].save("payroll", position(), after=revision)
        # All with the same position: two consumers of one feed may well agree on that.
        mine = position("new")
        saves = (opened[n % stores].save("payroll", mine, after=after) for n in range(12))
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        won = [outcome for outcome in outcomes if isinstance(outcome, Checkpoint)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, StaleCheckpointError)]
        assert (len(won), len(lost)) == (1, 11), outcomes
        assert await opened[0].load("payroll") == won[0]


async def test_names_do_not_interfere(store):
    for name in ODD_NAMES:
        await store.save(name, position(name), after=0)
    for name in ODD_NAMES:
        assert await cursor_in(store, name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * 201, "a\nb", "a\0", "\x1b", "\x85", "\ud800", "\u2028", None, 7, b"payroll"]
)
async def test_a_name_that_can_be_none_is_refused(store, name):
    with pytest.raises(InvalidArgumentError, match="name: "):
        await store.load(name)
    with pytest.raises(InvalidArgumentError, match="name: "):
        await store.save(name, position(), after=0)


async def test_what_was_saved_is_there_after_reopening(storage):
    async with storage.store() as first:
        saved = await first.save("payroll", full(2), after=0)
    async with storage.store() as second:
        assert await second.load("payroll") == saved
        await second.save("payroll", full(1), after=1)


async def test_closing_twice_is_harmless(storage):
    unused = storage.store()
    await unused.aclose()
    await unused.aclose()
    used = storage.store()
    await used.save("payroll", position(), after=0)
    await asyncio.gather(used.aclose(), used.aclose())
    await used.aclose()


async def test_a_closed_store_says_so(storage):
    async with storage.store() as store:
        await store.save("payroll", position(), after=0)
    with pytest.raises(ClosedError):
        await store.load("payroll")
    with pytest.raises(ClosedError):
        await store.save("payroll", position(), after=1)


async def test_a_value_of_a_later_format_is_refused_and_left_alone(storage, store):
    await store.save("payroll", position(), after=0)
    later = msgspec.json.encode({"format": FORMAT + 1, "place": ["unheard of"]})
    await storage.plant("payroll", 1, later)
    before = await storage.look("payroll")
    with pytest.raises(NewerCheckpointError, match="payroll"):
        await store.load("payroll")
    for after in (0, 1):
        with pytest.raises(NewerCheckpointError):
            await store.save("payroll", position("mine"), after=after)
    assert await storage.look("payroll") == before


async def test_a_damaged_value_is_refused_and_left_alone(storage, store):
    await store.save("payroll", position(), after=0)
    await storage.damage("payroll")
    before = await storage.look("payroll")
    with pytest.raises(CorruptCheckpointError, match=r"payroll.*remove it"):
        await store.load("payroll")
    for after in (0, 1):
        with pytest.raises(CorruptCheckpointError):
            await store.save("payroll", position("mine"), after=after)
    assert await storage.look("payroll") == before


@pytest.mark.parametrize("revision", [0, -1])
async def test_a_revision_that_no_save_gave_is_damage(storage, store, revision):
    await store.save("payroll", position(), after=0)
    await storage.plant("payroll", revision, encode(position()))
    with pytest.raises(CorruptCheckpointError, match="revision"):
        await store.load("payroll")
    with pytest.raises(CorruptCheckpointError):
        await store.save("payroll", position("mine"), after=revision)


async def test_a_cancelled_save_is_done_or_not_and_the_store_goes_on(store):
    saved = await store.save("payroll", position("c0"), after=0)
    for steps in range(0, 120, 3):
        mine = position(f"c{steps}", settled=full(steps * 10).settled)
        task = asyncio.create_task(store.save("payroll", mine, after=saved.revision))
        for _ in range(steps):
            await checkpoint()
        task.cancel()
        await asyncio.wait([task])
        found = await store.load("payroll")
        assert found in (saved, Checkpoint(position=mine, revision=saved.revision + 1))
        saved = await _save_next(store, position(f"after c{steps}"))
        assert await store.load("payroll") == saved


async def test_a_cancelled_load_leaves_the_store_usable(store):
    await store.save("payroll", position("c0"), after=0)
    await store.save("other", position("other"), after=0)
    for steps in range(0, 90, 3):
        task = asyncio.create_task(store.load("other"))
        for _ in range(steps):
            await checkpoint()
        task.cancel()
        await asyncio.wait([task])
        assert await cursor_in(store) == "c0"


async def _save_next(store, mine) -> Checkpoint:
    """Save on what is there; over a network, a save that was cancelled may still land."""
    for _ in range(3):
        found = await store.load("payroll")
        try:
            saved: Checkpoint = await store.save("payroll", mine, after=found.revision)
        except StaleCheckpointError:
            continue
        return saved
    raise AssertionError("someone keeps saving")


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


async def test_nothing_is_left_to_warn_of(storage):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with storage.store() as store:
            await store.save("payroll", position(), after=0)


async def test_a_store_shows_what_it_is(storage):
    store = storage.store()
    assert repr(store).startswith(f"{type(store).__name__}(")

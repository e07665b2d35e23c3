"""The test suite that every checkpoint store must pass."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from coachstream import Position, StaleCheckpointError
from coachstream.checkpoints import Checkpoint, CheckpointStore

from .loops import Opener, on_a_loop
from .positions import at, edge_cases, full

NAMES = (
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
)

STEPS = (*range(12), *range(12, 120, 3))
"""Numbers of loop iterations after which an operation is cancelled."""

MakeStore = Callable[[], CheckpointStore | AbstractAsyncContextManager[CheckpointStore]]
Stores = Opener[CheckpointStore]


class StoreContract:
    """Tests that your own `coachstream.checkpoints.CheckpointStore` must pass.

    Subclass it in a test module, with a fixture that returns a factory::

        class TestMyStore(StoreContract):
            @pytest.fixture
            def make_store(self, tmp_path):
                return lambda: MyStore(tmp_path / "checkpoints")

    Each test calls the factory once or several times, on a running loop. Each result stands for
    the store of another process and must use the same storage, which is empty when the test begins.
    The factory may return a store, which is closed at the end if it has ``aclose``, or an async
    context manager of one. The tests need no asyncio plugin, and work with any.

    Attributes:
        names: Names that must not interfere; override this if your service's names are plain.
    """

    names: Sequence[str] = NAMES

    @pytest.fixture
    def make_store(self) -> MakeStore:
        """Return a factory for stores; override this."""
        raise NotImplementedError("override the fixture make_store: return a factory for stores")

    @on_a_loop
    async def test_an_unknown_name_has_nothing(self, make_store: Stores) -> None:
        store = await make_store()
        assert await store.load("payroll") is None

    @on_a_loop
    async def test_what_is_saved_is_loaded(self, make_store: Stores) -> None:
        store = await make_store()
        saved = await store.save("payroll", full(3), after=0)
        assert saved == Checkpoint(position=full(3), revision=1)
        assert await store.load("payroll") == saved

    @on_a_loop
    async def test_fields_without_a_value_come_back_without_one(self, make_store: Stores) -> None:
        store = await make_store()
        await store.save("payroll", at(None), after=0)
        assert await _position_in(store) == at(None)

    @on_a_loop
    async def test_any_position_survives(self, make_store: Stores) -> None:
        store = await make_store()
        for revision, position in enumerate(edge_cases()):
            await store.save("payroll", position, after=revision)
            assert await _position_in(store) == position

    @on_a_loop
    async def test_five_thousand_settled_keys_fit(self, make_store: Stores) -> None:
        store = await make_store()
        await store.save("payroll", full(5_000), after=0)
        assert await _position_in(store) == full(5_000)
        await store.save("payroll", full(5_001), after=1)
        assert await _position_in(store) == full(5_001)

    @on_a_loop
    async def test_revisions_count_the_saves(self, make_store: Stores) -> None:
        store = await make_store()
        for revision in range(1, 6):
            saved = await store.save("payroll", at(f"c{revision}"), after=revision - 1)
            assert saved.revision == revision
            assert await store.load("payroll") == saved

    @on_a_loop
    async def test_a_save_after_another_revision_is_refused_and_changes_nothing(
        self, make_store: Stores
    ) -> None:
        store = await make_store()
        await store.save("payroll", at("c1"), after=0)
        stored = await store.save("payroll", at("c2"), after=1)
        for after in (0, 1, 3, -1, 10**6):
            with pytest.raises(StaleCheckpointError):
                await store.save("payroll", at("mine"), after=after)
            assert await store.load("payroll") == stored, f"a save after {after} was stored"

    @on_a_loop
    async def test_a_save_after_a_revision_of_nothing_is_refused(self, make_store: Stores) -> None:
        store = await make_store()
        with pytest.raises(StaleCheckpointError):
            await store.save("payroll", at("mine"), after=1)
        assert await store.load("payroll") is None

    @on_a_loop
    async def test_a_consumer_that_was_overtaken_learns_of_it(self, make_store: Stores) -> None:
        mine, other = await make_store(), await make_store()
        await mine.save("payroll", at("c1"), after=0)
        await other.load("payroll")
        await other.save("payroll", at("theirs"), after=1)
        with pytest.raises(StaleCheckpointError):
            await mine.save("payroll", at("mine"), after=1)
        assert await _position_in(mine) == at("theirs")

    @on_a_loop
    async def test_of_many_saves_at_once_exactly_one_wins(self, make_store: Stores) -> None:
        stores = [await make_store() for _ in range(4)]
        for after in (0, 3):
            for several in (1, 4):
                await _race(stores[:several], f"payroll {after} {several}", after)

    @on_a_loop
    async def test_names_do_not_interfere(self, make_store: Stores) -> None:
        store = await make_store()
        for name in self.names:
            await store.save(name, at(name), after=0)
        for name in self.names:
            assert await _position_in(store, name) == at(name)

    @on_a_loop
    async def test_what_was_saved_is_there_after_reopening(self, make_store: Stores) -> None:
        saved = await (await make_store()).save("payroll", full(2), after=0)
        another = await make_store()
        assert await another.load("payroll") == saved
        await another.save("payroll", full(1), after=1)

    @on_a_loop
    async def test_a_cancelled_save_is_done_or_not_and_the_store_goes_on(
        self, make_store: Stores
    ) -> None:
        store = await make_store()
        saved = await store.save("payroll", at("c0"), after=0)
        for steps in STEPS:
            mine = full(steps * 10)
            await _run_and_cancel(store.save("payroll", mine, after=saved.revision), steps)
            found = await store.load("payroll")
            assert found in (saved, Checkpoint(position=mine, revision=saved.revision + 1))
            saved = await _save_next(store, at(f"after c{steps}"))
            assert await store.load("payroll") == saved

    @on_a_loop
    async def test_a_cancelled_load_leaves_the_store_usable(self, make_store: Stores) -> None:
        store = await make_store()
        await store.save("payroll", at("c0"), after=0)
        await store.save("other", at("other"), after=0)
        for steps in STEPS:
            await _run_and_cancel(store.load("other"), steps)
            assert await _position_in(store) == at("c0")


async def _position_in(store: CheckpointStore, name: str = "payroll") -> Position:
    found = await store.load(name)
    assert found is not None, f"nothing is stored for {name!r}"
    return found.position


async def _race(stores: Sequence[CheckpointStore], name: str, after: int) -> None:
    """Save many times at once; all the same position, because two consumers may agree on it."""
    for revision in range(after):
        await stores[0].save(name, at("old"), after=revision)
    saves = (stores[n % len(stores)].save(name, at("new"), after=after) for n in range(12))
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, Checkpoint)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, StaleCheckpointError)]
    assert (len(won), len(lost)) == (1, 11), outcomes
    assert await stores[0].load(name) == won[0]


async def _run_and_cancel(work: Coroutine[Any, Any, object], steps: int) -> None:
    """Run ``work`` for so many iterations of the loop, then cancel it."""
    task = asyncio.ensure_future(work)
    for _ in range(steps):
        await checkpoint()
    task.cancel()
    await asyncio.wait([task])


async def _save_next(store: CheckpointStore, position: Position) -> Checkpoint:
    """Save after the stored revision; over a network, a cancelled save may still arrive."""
    for _ in range(3):
        found = await store.load("payroll")
        assert found is not None, "a cancelled save has lost the checkpoint"
        try:
            return await store.save("payroll", position, after=found.revision)
        except StaleCheckpointError:
            continue
    raise AssertionError("three saves in a row were refused as stale")

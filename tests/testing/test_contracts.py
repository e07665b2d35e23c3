"""The suites for users' stores and ledgers: correct ones pass, faulty ones fail."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest
from anyio.lowlevel import checkpoint

from coachstream import MemoryLedger, StaleCheckpointError
from coachstream.checkpoints import Checkpoint, MappingStore
from coachstream.testing.contracts import LedgerContract, StoreContract, loops


def fails(contract, make) -> set[str]:
    """Names of the suite's tests that fail; each runs on new storage from ``make``."""
    failed = set()
    for name in dir(contract):
        if name.startswith("test_"):
            try:
                getattr(contract(), name)(**make())
            except (Exception, pytest.fail.Exception):  # noqa: BLE001  # however it fails
                failed.add(name.removeprefix("test_"))
    return failed


class OwnStore:
    """A user's store without this package's base class: the smallest correct one."""

    def __init__(self, stored):
        self.stored = stored

    async def load(self, name):
        await checkpoint()
        return self.stored.get(name)

    async def save(self, name, position, *, after):
        await checkpoint()
        self.check(name, after)
        self.stored[name] = Checkpoint(position=self.written(position), revision=after + 1)
        return Checkpoint(position=position, revision=after + 1)

    def check(self, name, after):
        if (self.stored[name].revision if name in self.stored else 0) != after:
            raise StaleCheckpointError(name)

    def written(self, position):
        return position


class Forgetful(OwnStore):
    async def load(self, name):
        return None


class LastWriterWins(OwnStore):
    def check(self, name, after):
        """Overwrite whatever is stored."""


class Hasty(OwnStore):
    """Checks the revision, but another save may come before it writes."""

    async def save(self, name, position, *, after):
        self.check(name, after)
        await checkpoint()
        self.stored[name] = saved = Checkpoint(position=position, revision=after + 1)
        return saved


class Lenient(OwnStore):
    """Accepts any revision later than the stored one."""

    def check(self, name, after):
        if name in self.stored and self.stored[name].revision > after:
            raise StaleCheckpointError(name)


class Destructive(OwnStore):
    """Writes before it checks."""

    async def save(self, name, position, *, after):
        before = self.stored.get(name)
        self.stored[name] = Checkpoint(position=position, revision=after)
        if (before.revision if before else 0) != after:
            raise StaleCheckpointError(name)
        self.stored[name] = saved = Checkpoint(position=position, revision=after + 1)
        return saved


class Lossy(OwnStore):
    """Stores the cursor, but not the settled and recent keys."""

    def written(self, position):
        return msgspec.structs.replace(position, settled=(), recent=())


class Rounding(OwnStore):
    """Stores times in whole seconds."""

    def written(self, position):
        time = position.watermark
        return msgspec.structs.replace(position, watermark=time and time.replace(microsecond=0))


class Blanking(OwnStore):
    """Stores an empty text as None."""

    def written(self, position):
        return msgspec.structs.replace(position, cursor=position.cursor or None)


class InMemory(OwnStore):
    """Stores nothing outside its own process."""

    def __init__(self, _):
        super().__init__({})


class Miscounting(OwnStore):
    async def save(self, name, position, *, after):
        saved = await super().save(name, position, after=after)
        return msgspec.structs.replace(saved, revision=saved.revision + 1)


class CaseBlind(OwnStore):
    """Ignores the case of names."""

    async def load(self, name):
        return await super().load(name.casefold())

    async def save(self, name, position, *, after):
        return await super().save(name.casefold(), position, after=after)


class Interruptible(OwnStore):
    """Removes the old checkpoint before it writes the new one, and may be cancelled in between."""

    async def save(self, name, position, *, after):
        self.check(name, after)
        self.stored.pop(name, None)
        await checkpoint()
        self.stored[name] = saved = Checkpoint(position=position, revision=after + 1)
        return saved


class Jamming(OwnStore):
    """Lets one in at a time, and nobody any more after a load that was cancelled."""

    def __init__(self, stored):
        super().__init__(stored)
        self.free = asyncio.Event()
        self.free.set()

    async def load(self, name):
        await self.free.wait()
        self.free.clear()
        await checkpoint()
        self.free.set()
        return self.stored.get(name)


def store_maker(kind):
    def make():
        stored = {}
        return {"make_store": lambda: kind(stored)}

    return make


@pytest.mark.parametrize("kind", [OwnStore, MappingStore])
def test_a_good_store_passes(kind):
    assert fails(StoreContract, store_maker(kind)) == set()


@pytest.mark.parametrize(
    ("kind", "caught_by"),
    [
        (Forgetful, "what_is_saved_is_loaded"),
        (LastWriterWins, "a_consumer_that_was_overtaken_learns_of_it"),
        (LastWriterWins, "a_save_after_another_revision_is_refused_and_changes_nothing"),
        (Hasty, "of_many_saves_at_once_exactly_one_wins"),
        (Lenient, "a_save_after_a_revision_of_nothing_is_refused"),
        (Lenient, "a_save_after_another_revision_is_refused_and_changes_nothing"),
        (Destructive, "a_save_after_another_revision_is_refused_and_changes_nothing"),
        (Lossy, "five_thousand_settled_keys_fit"),
        (Lossy, "any_position_survives"),
        (Rounding, "any_position_survives"),
        (Blanking, "any_position_survives"),
        (InMemory, "what_was_saved_is_there_after_reopening"),
        (Miscounting, "revisions_count_the_saves"),
        (CaseBlind, "names_do_not_interfere"),
        (Interruptible, "a_cancelled_save_is_done_or_not_and_the_store_goes_on"),
    ],
)
def test_a_bad_store_is_caught(kind, caught_by):
    assert caught_by in fails(StoreContract, store_maker(kind))


def test_a_store_that_a_cancelled_load_jams_is_caught_and_nothing_else_is(monkeypatch):
    monkeypatch.setattr(loops, "LIMIT", 1.0)
    with pytest.raises(TimeoutError):
        StoreContract().test_a_cancelled_load_leaves_the_store_usable(**store_maker(Jamming)())
    assert fails(StoreContract, store_maker(Jamming)) == {
        "a_cancelled_load_leaves_the_store_usable"
    }


def test_a_suite_may_restrict_the_names():
    class Plain(StoreContract):
        names = ("payroll", "dashboard")

    assert fails(Plain, store_maker(CaseBlind)) == set()


def test_a_store_may_come_from_a_context_manager_and_is_closed():
    opened, closed = [], []

    @asynccontextmanager
    async def one():
        opened.append(store := MappingStore(stored))
        yield store
        closed.append(store)

    stored = {}
    StoreContract().test_a_consumer_that_was_overtaken_learns_of_it(make_store=one)
    assert len(opened) == 2
    assert closed == opened[::-1]


def test_a_store_with_aclose_is_closed():
    class Closing(OwnStore):
        async def aclose(self):
            closed.append(self)

    closed = []
    StoreContract().test_an_unknown_name_has_nothing(make_store=lambda: Closing({}))
    assert len(closed) == 1


# Ledgers


class Doubling(MemoryLedger):
    """Stores a session that failed again twice."""

    async def add(self, failed):
        self._kept[*failed.key, failed.attempts] = failed

    async def remove(self, failed):
        self._kept.pop((*failed.key, failed.attempts), None)


class Newest(MemoryLedger):
    async def list(self):
        for failed in reversed(list(self._kept.values())):
            yield failed


class RaisingRemove(MemoryLedger):
    async def remove(self, failed):
        del self._kept[failed.key]


class Unsteady(MemoryLedger):
    """Iterates over a dict that may change meanwhile."""

    async def list(self):
        for failed in self._kept.values():
            yield failed


class SharedByConsumers(MemoryLedger):
    """Uses the session as the key, without the consumer."""

    async def add(self, failed):
        self._kept[failed.raw] = failed

    async def remove(self, failed):
        self._kept.pop(failed.raw, None)


class Moving(MemoryLedger):
    """Puts a session that failed again at the end."""

    async def add(self, failed):
        self._kept.pop(failed.key, None)
        await super().add(failed)


class Racing(MemoryLedger):
    """Reads all, and writes all with one more: of several at once, only the last remains."""

    async def add(self, failed):
        kept = {**self._kept, failed.key: failed}
        await checkpoint()
        self._kept = kept


class Clipping(MemoryLedger):
    async def add(self, failed):
        await super().add(msgspec.structs.replace(failed, raw=failed.raw[:4096]))


def ledger_maker(kind):
    def make():
        one = kind()
        return {"make_ledger": lambda: one}

    return make


def test_a_good_ledger_passes():
    assert fails(LedgerContract, ledger_maker(MemoryLedger)) == set()


@pytest.mark.parametrize(
    ("kind", "caught_by"),
    [
        (Doubling, "one_that_fails_again_is_kept_once"),
        (Doubling, "one_is_removed_as_it_is_now_by_what_it_was"),
        (Moving, "one_that_fails_again_keeps_its_place"),
        (Racing, "many_may_be_added_at_once"),
        (Newest, "the_oldest_comes_first"),
        (RaisingRemove, "removing_what_is_not_there_is_harmless"),
        (Unsteady, "it_may_change_while_it_is_listed"),
        (SharedByConsumers, "consumers_do_not_interfere"),
        (Clipping, "every_field_survives"),
    ],
)
def test_a_bad_ledger_is_caught(kind, caught_by):
    assert caught_by in fails(LedgerContract, ledger_maker(kind))


def test_a_ledger_lost_with_its_process_is_caught():
    failed = fails(LedgerContract, lambda: {"make_ledger": MemoryLedger})
    assert failed == {"what_was_done_is_there_after_reopening"}

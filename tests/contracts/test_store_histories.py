"""No history of two writers moves a checkpoint backwards."""

import asyncio
import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coachstream.checkpoints import Checkpoint
from coachstream.errors import StaleCheckpointError
from tests.contracts.positions import position

_names = map("history {}".format, itertools.count(1))

steps = st.lists(
    st.tuples(
        st.sampled_from(["one", "two"]), st.sampled_from(["load", "save", "save", "reopen", "both"])
    ),
    max_size=25,
)


@settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(history=steps)
def test_two_writers_never_move_a_checkpoint_backwards(storage, history):
    asyncio.run(live(storage, history))


async def live(storage, history) -> None:
    name = next(_names)
    stores = {"one": storage.store(), "two": storage.store()}
    believed = {"one": 0, "two": 0}  # the revision each writer saw last
    kept: Checkpoint | None = None  # what has to be there
    for number, (writer, deed) in enumerate(history):
        store = stores[writer]
        mine = position(f"{writer} {number}")
        revision = 0 if kept is None else kept.revision
        if deed == "load":
            found = await store.load(name)
            believed[writer] = 0 if found is None else found.revision
        elif deed == "reopen":
            await store.aclose()
            stores[writer] = storage.store()
        elif deed == "save":
            try:
                kept = await store.save(name, mine, after=believed[writer])
            except StaleCheckpointError:
                assert believed[writer] != revision
            else:
                assert believed[writer] == revision
                believed[writer] = kept.revision
        else:
            kept = await both_save(stores, name, number, revision, believed) or kept
        assert await stores["one"].load(name) == kept
        assert kept is None or kept.revision >= revision
    for store in stores.values():
        await store.aclose()


async def both_save(stores, name, number, revision, believed) -> Checkpoint | None:
    """Have both save at the same time; return what was kept, if one of them could."""
    saves = (
        store.save(name, position(f"{writer} {number}"), after=believed[writer])
        for writer, store in stores.items()
    )
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, Checkpoint)]
    assert len(won) == (1 if revision in believed.values() else 0), outcomes
    for writer, outcome in zip(stores, outcomes, strict=True):
        if isinstance(outcome, Checkpoint):
            believed[writer] = outcome.revision
        else:
            assert isinstance(outcome, StaleCheckpointError), outcome
    return won[0] if won else None

"""Two writers never move a checkpoint backwards."""

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
    asyncio.run(run_history(storage, history))


async def run_history(storage, history) -> None:
    name = next(_names)
    stores = {"one": storage.store(), "two": storage.store()}
    last_seen = {"one": 0, "two": 0}  # the revision each writer saw last
    stored: Checkpoint | None = None  # what must be stored
    for number, (writer, action) in enumerate(history):
        store = stores[writer]
        mine = position(f"{writer} {number}")
        revision = 0 if stored is None else stored.revision
        if action == "load":
            found = await store.load(name)
            last_seen[writer] = 0 if found is None else found.revision
        elif action == "reopen":
            await store.aclose()
            stores[writer] = storage.store()
        elif action == "save":
            try:
                stored = await store.save(name, mine, after=last_seen[writer])
            except StaleCheckpointError:
                assert last_seen[writer] != revision
            else:
                assert last_seen[writer] == revision
                last_seen[writer] = stored.revision
        else:
            stored = await both_save(stores, name, number, revision, last_seen) or stored
        assert await stores["one"].load(name) == stored
        assert stored is None or stored.revision >= revision
    for store in stores.values():
        await store.aclose()


async def both_save(stores, name, number, revision, last_seen) -> Checkpoint | None:
    """Let both save at the same time; return what was stored, if one succeeded."""
    saves = (
        store.save(name, position(f"{writer} {number}"), after=last_seen[writer])
        for writer, store in stores.items()
    )
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, Checkpoint)]
    assert len(won) == (1 if revision in last_seen.values() else 0), outcomes
    for writer, outcome in zip(stores, outcomes, strict=True):
        if isinstance(outcome, Checkpoint):
            last_seen[writer] = outcome.revision
        else:
            assert isinstance(outcome, StaleCheckpointError), outcome
    return won[0] if won else None

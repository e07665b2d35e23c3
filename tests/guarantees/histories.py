"""Random histories of a consumer: a world that lives on, a network that fails, handlers that take
their time or fail, and crashes that leave nothing but what the store has.

A history is drawn by hypothesis, lived on virtual time, and remembered by a `Witness` that knows
what was served, what was handled and what was saved. Each promise has a file of its own that asks
the witness about it.
"""

import asyncio
import json
import os
from base64 import b64decode
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from coachstream import CoachingSession, Event, Position, RetryPolicy, consume
from coachstream.checkpoints import Checkpoint, MemoryStore
from coachstream.emulator import (
    Emulator,
    Fault,
    Profile,
    World,
    cut_short,
    empty_page,
    garble,
    hang_up,
    refuse,
    serve,
    slow,
    stall,
)
from coachstream.emulator.cursors import SEAM
from coachstream.telemetry import (
    CaughtUp,
    CheckpointSaved,
    PageRead,
    RequestFinished,
    RequestStarted,
)
from tests.support.emulated import LONG_AGO, key
from tests.support.rim import Rim, client_at
from tests.support.virtual_time import LoopClock, VirtualLoop, pass_time

HISTORIES = int(os.environ.get("COACHSTREAM_HISTORIES", "400"))
"""How many histories each promise is tried on."""

thoroughly = settings(
    max_examples=HISTORIES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

QUIET = 120.0
"""Seconds without anything new after which a consumer has caught up."""

FAULTS = (
    serve(),
    serve(),
    refuse(429, retry_after=0.40235),
    refuse(503),
    refuse(500, retry_after=3),
    hang_up(),
    cut_short(10),
    stall(),
    garble(),
    empty_page(),
    slow(20),
)

Key = tuple[str, str]


@dataclass(frozen=True)
class History:
    """What is drawn."""

    seed: int
    sessions: int
    drivers: int
    page_size: tuple[int, int]
    profile: Profile
    faults: tuple[Fault, ...]
    acts: tuple[tuple[float, str], ...]
    concurrency: int
    max_unsettled: int
    slowness: float
    failure_rate: float
    readers: int
    """With more than one, the past is read by windows."""
    lives: tuple[tuple[float, str], ...]
    """How long each run lasts, and how it ends: crash, cancel, close or fail."""


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw a history."""
    low = draw(st.integers(1, 6))
    return History(
        seed=draw(st.integers(0, 2**32)),
        sessions=draw(st.integers(0, 25)),
        drivers=draw(st.integers(1, 6)),
        page_size=(low, low + draw(st.integers(0, 5))),
        profile=draw(st.sampled_from(Profile.every())),
        faults=tuple(draw(st.lists(st.sampled_from(FAULTS), max_size=8))),
        acts=tuple(
            draw(
                st.lists(
                    st.tuples(
                        st.floats(0, 30),
                        st.sampled_from(["add", "annotate", "complete", "delete"]),
                    ),
                    max_size=10,
                )
            )
        ),
        concurrency=draw(st.integers(1, 6)),
        max_unsettled=draw(st.integers(1, 30)),
        slowness=draw(st.sampled_from([0.0, 0.01, 1.0, 10.0])),
        failure_rate=draw(st.sampled_from([0.0, 0.0, 0.1, 0.4])),
        readers=draw(st.sampled_from([1, 1, 2, 5])),
        lives=tuple(
            draw(
                st.lists(
                    st.tuples(
                        st.floats(0, 60), st.sampled_from(["crash", "cancel", "close", "fail"])
                    ),
                    max_size=4,
                )
            )
        ),
    )


class Died(Exception):  # noqa: N818  # an event, not an error
    """Raised by a handler that ends its consumer's life."""


class Witness:
    """Remembers what was handled, and what each saved position claimed was."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.handled: set[Key] = set()
        self.begun: dict[tuple[int, str], list[Key]] = defaultdict(list)
        """What handlers were begun with, by life and driver."""
        self.together: list[str] = []
        """Drivers of whom two sessions were handled at once."""
        self.again: set[Key] = set()
        """Versions handled though the position that their life began with had them settled."""
        self.lies: set[Key] = set()
        """Versions that a saved position has settled and nobody had handled."""
        self.backward: list[int] = []
        """Revisions that were not one more than the last."""
        self.left_running: list[str] = []
        """Tasks that outlived their consumer."""
        self.late: list[Key] = []
        """Versions whose handler went on after its consumer had ended."""

    def claimed(self, position: Position) -> set[Key]:
        """Return the versions that a position says are settled, by what the server has sent."""
        settled = {_spelled(one) for one in position.settled}
        if position.cursor is None:
            return settled
        place = json.loads(b64decode(position.cursor.partition(SEAM)[2]))[0]
        served = {one for request in self.emulator.requests for one in request.served}
        # What was superseded before it could be served again can't be handled any more.
        every = self.emulator.profile.versions == "every"
        return settled | {
            version.key
            for version in self.emulator.world.record.every
            if version.stamp <= place
            and version.key in served
            and (every or version.superseded is None)
        }

    @property
    def missing(self) -> set[Key]:
        """Versions the server can still serve and nobody has handled."""
        world = self.emulator.world
        every = self.emulator.profile.versions == "every"
        return (set(world.versions()) if every else world.latest()) - self.handled

    @property
    def disordered(self) -> list[tuple[int, str]]:
        """Lives and drivers in which an earlier version was begun after a later one."""
        places = {one: place for place, one in enumerate(self.emulator.world.versions())}
        return [
            where
            for where, begun in self.begun.items()
            if (at := [places[one] for one in begun]) != sorted(at)
        ]


class WatchedStore(MemoryStore):
    """A store that tells the witness, and that the dead can't write to."""

    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self.witness = witness
        self._revision = 0
        self.dead = False

    async def save(self, name: str, position: Position, *, after: int) -> Checkpoint:
        await self._live()
        await pass_time(0.003)
        await self._live()
        self.witness.lies |= self.witness.claimed(position) - self.witness.handled
        kept = await super().save(name, position, after=after)
        if kept.revision != self._revision + 1:
            self.witness.backward.append(kept.revision)
        self._revision = kept.revision
        await pass_time(0.003)
        await self._live()
        return kept

    async def _live(self) -> None:
        if self.dead:
            await asyncio.Event().wait()


class Handler:
    """One life's handler."""

    def __init__(
        self, history: History, witness: Witness, life: int, settled: set[Key], quiet: "Quiet"
    ) -> None:
        self._quiet = quiet
        self._history = history
        self._witness = witness
        self._life = life
        self._settled = settled
        self._chance = Random(f"{history.seed} {life}")
        self._running: set[str] = set()
        self.dying = False
        self.over = False

    async def __call__(self, session: CoachingSession) -> None:
        self._quiet.stir()
        driver, one = session.driver.driver_id, key(session)
        if driver in self._running:
            self._witness.together.append(driver)
        self._running.add(driver)
        begun = self._witness.begun[self._life, driver]
        if not begun or begun[-1] != one:  # another try of the same is no new beginning
            begun.append(one)
        try:
            await pass_time(self._history.slowness * self._chance.random())
            if self.dying or self._chance.random() < self._history.failure_rate:
                raise Died(f"life {self._life}")
        finally:
            self._running.discard(driver)
        if self.over:
            self._witness.late.append(one)
            return
        self._witness.handled.add(one)
        if one in self._settled:
            self._witness.again.add(one)


def live(history: History) -> Witness:
    """Live a history through to its end, and return who saw it."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_live(history))


async def _live(history: History) -> Witness:
    world = World(
        history.seed, drivers=history.drivers, sessions=history.sessions, changes_per_hour=0
    )
    emulator = Emulator(
        world, profile=history.profile, faults=history.faults, page_size=history.page_size
    )
    witness, store = Witness(emulator), None
    store = WatchedStore(witness)
    rim = Rim(emulator, latency=0.5, chance=Random(history.seed))
    happening = asyncio.ensure_future(_happen(world, history))
    for number, life in enumerate(history.lives):
        await _one_life(history, store, rim, number, life)
    await happening
    # In the end nothing fails any more, so that there is an end to reach.
    emulator.faults.clear()
    calm = replace(history, failure_rate=0.0)
    await _one_life(calm, store, rim, len(history.lives), (float("inf"), "close"))
    return witness


async def _happen(world: World, history: History) -> None:
    chance, known = Random(history.seed), [one["id"] for one in world.sessions()]
    for pause, act in history.acts:
        await pass_time(pause)
        if act == "add" or not known:
            known.append(world.add_session())
        elif act == "annotate":
            world.annotate(chance.choice(known), "a note")
        else:
            getattr(world, act)(chance.choice(known))


async def _one_life(
    history: History,
    store: WatchedStore,
    rim: Rim,
    number: int,
    life: tuple[float, str],
) -> None:
    """Run a consumer for so long, or until it has caught up; and end it as it is written."""
    (length, ending), witness = life, store.witness
    kept = await store.load("it")
    settled = set() if kept is None else witness.claimed(kept.position)
    quiet = Quiet()
    handler = Handler(history, witness, number, settled, quiet)
    before = asyncio.all_tasks()
    async with client_at(rim, chance=Random(number), observer=quiet) as client:
        stream = client.sessions.stream(start_time=LONG_AGO, readers=history.readers)
        running = asyncio.ensure_future(
            consume(
                stream,
                handler,
                name="it",
                store=store,
                concurrency=history.concurrency,
                max_unsettled=history.max_unsettled,
                retry=RetryPolicy(attempts=2),
                drain_timeout=5.0,
                observer=quiet,
                clock=LoopClock(),
                random=Random(number),
            )
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(None if length == float("inf") else length):
                while not running.done() and not quiet.for_long:
                    await pass_time(1.0)
        if ending == "crash":
            store.dead = True
        if ending in {"crash", "cancel"}:
            running.cancel()
        elif ending == "fail":
            handler.dying = True
            await pass_time(1.0)
        if not running.done():
            await stream.aclose()
        with suppress(Died, asyncio.CancelledError):
            await running
    handler.over = True
    store.dead = False
    witness.left_running += [repr(task) for task in asyncio.all_tasks() - before]


class Quiet:
    """An observer that notices when nothing has happened for long."""

    def __init__(self) -> None:
        self.stir()

    def __call__(self, event: Event) -> None:
        idle = isinstance(event, CaughtUp | RequestStarted | RequestFinished | CheckpointSaved)
        if not idle and not (isinstance(event, PageRead) and event.sessions == 0):
            self.stir()

    def stir(self) -> None:
        """Take note that something goes on."""
        self._since = LoopClock().monotonic()

    @property
    def for_long(self) -> bool:
        return LoopClock().monotonic() - self._since > QUIET


def _spelled(one: tuple[str, datetime]) -> Key:
    name, moment = one
    return name, moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"

"""Random histories of a consumer: a changing world, a failing network, slow or failing handlers,
and crashes after which only the stored checkpoint is left.

Hypothesis draws a history, it runs on virtual time, and a `Recorder` records what was served,
handled and saved. ``test_any_history.py`` checks the recorder for each promise.
"""

import asyncio
import json
import os
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import get_args

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
from coachstream.emulator.clock import to_ms
from coachstream.emulator.cursors import SEPARATOR
from coachstream.emulator.history import Version
from coachstream.emulator.versions import Times
from coachstream.telemetry import (
    CaughtUp,
    CheckpointSaved,
    PageRead,
    RequestFinished,
    RequestStarted,
)
from coachstream.wire.query import Query
from tests.support.emulated import LONG_AGO
from tests.support.in_memory import InMemoryExchange, client_in_memory
from tests.support.versions import Identity, identity, identity_of, settled_in
from tests.support.virtual_time import LeapingClock, LoopClock, VirtualLoop, pass_time

HISTORIES = int(os.environ.get("COACHSTREAM_HISTORIES", "200"))
"""The number of histories."""

many_examples = settings(
    max_examples=HISTORIES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

CATCH_UP_SECONDS = 120.0
"""A consumer has caught up after this many seconds without anything new."""

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


@dataclass(frozen=True)
class History:
    """One history, as drawn."""

    seed: int
    sessions: int
    drivers: int
    page_size: tuple[int, int]
    profile: Profile
    times: Times
    changing_behaviors: bool
    clock_ahead: timedelta
    """How far the consumer's clock is ahead of the server's."""
    faults: tuple[Fault, ...]
    changes: tuple[tuple[float, str], ...]
    """The pause before each change of the world, and its kind."""
    concurrency: int
    max_unsettled: int
    handling_seconds: float
    """The longest time that a handler takes."""
    failure_rate: float
    readers: int
    """With more than one, the backfill is read by windows."""
    runs: tuple[tuple[float, str], ...]
    """The length of each run of the consumer, and its end: crash, cancel, close or fail."""


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw a history."""
    low = draw(st.integers(1, 6))
    profile = draw(st.sampled_from(Profile.every()))
    times = draw(st.sampled_from(get_args(Times)))
    # A clock that is wrong, and times that are wrong, and no ``Date``: then nothing tells the time.
    clocks = [0] if times == "ahead" and not profile.date_header else [0, 0, 1, -1]
    # Windows are times. How late a version may become visible can't be known from none.
    readers = [1] if times == "disordered" else [1, 1, 2, 5]
    return History(
        seed=draw(st.integers(0, 2**32)),
        sessions=draw(st.integers(0, 25)),
        drivers=draw(st.integers(1, 6)),
        page_size=(low, low + draw(st.integers(0, 5))),
        profile=profile,
        times=times,
        changing_behaviors=draw(st.booleans()),
        clock_ahead=timedelta(hours=draw(st.sampled_from(clocks))),
        faults=tuple(draw(st.lists(st.sampled_from(FAULTS), max_size=8))),
        changes=tuple(
            draw(
                st.lists(
                    st.tuples(
                        st.floats(0, 30),
                        st.sampled_from(["add", "annotate", "complete", "delete", "all"]),
                    ),
                    max_size=10,
                )
            )
        ),
        concurrency=draw(st.integers(1, 6)),
        max_unsettled=draw(st.integers(1, 30)),
        handling_seconds=draw(st.sampled_from([0.0, 0.01, 1.0, 10.0])),
        failure_rate=draw(st.sampled_from([0.0, 0.0, 0.1, 0.4])),
        readers=draw(st.sampled_from(readers)),
        runs=tuple(
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


class HandlerError(Exception):
    """Raised by a handler on purpose."""


class Recorder:
    """Records what was handled, and what each saved position claims is settled."""

    def __init__(
        self, emulator: Emulator, identify: Callable[[Version], Identity] = identity_of
    ) -> None:
        self.emulator = emulator
        self._identify = identify
        self.handled: set[Identity] = set()
        self.started: dict[tuple[int, str], list[Identity]] = defaultdict(list)
        """The versions whose handler was started, by run and driver."""
        self.concurrent: list[str] = []
        """Drivers with two sessions that were handled at once."""
        self.redelivered: set[Identity] = set()
        """Versions that were handled again after they had been saved as settled."""
        self.false_claims: set[Identity] = set()
        """Versions that a saved position claims are settled, but that were not handled."""
        self.wrong_revisions: list[int] = []
        """Revisions that did not follow the one before."""
        self.left_running: list[str] = []
        """Tasks that were left when their consumer had ended."""
        self.handled_late: list[Identity] = []
        """Versions whose handler ended after its consumer."""

    def claimed(self, position: Position) -> set[Identity]:
        """Return the served versions that a position claims are settled."""
        settled = settled_in(position, self.emulator.world.record.sessions, self._identify)
        if position.cursor is None and position.query == position.origin:
            return settled
        served = {one for request in self.emulator.requests for one in request.served}
        # A version that was superseded before it was handled can't be served any more.
        every, is_before = self.emulator.profile.versions == "every", before(position)
        return settled | {
            self._identify(version)
            for version in self.emulator.world.record.every
            if is_before(version)
            and version.key in served
            and (every or version.superseded is None)
        }

    @property
    def missing(self) -> set[Identity]:
        """Versions that the server can still serve, and that were not handled."""
        every = self.emulator.profile.versions == "every"
        return {
            self._identify(version)
            for version in self.emulator.world.record.every
            if every or version.superseded is None
        } - self.handled

    @property
    def out_of_order(self) -> list[tuple[int, str]]:
        """Runs and drivers in which an earlier version was started after a later one."""
        places: defaultdict[Identity, list[int]] = defaultdict(list)
        for place, version in enumerate(self.emulator.world.record.every):
            places[self._identify(version)].append(place)  # a change may change nothing
        return [where for where, started in self.started.items() if not _rising(started, places)]


def _rising(started: list[Identity], places: Mapping[Identity, list[int]]) -> bool:
    """Return whether the versions can have been read in this order."""
    last = -1
    for one in started:
        later = [place for place in places[one] if place >= last]
        if not later:
            return False
        last = later[0]
    return True


def before(position: Position) -> Callable[[Version], bool]:
    """Return whether a version lies before a position's cursor, or before its whole query."""
    query = Query.from_wire(position.query)
    first, end = to_ms(query.start), None if query.end is None else to_ms(query.end)
    last = None
    if position.cursor is not None:
        last = json.loads(b64decode(position.cursor.partition(SEPARATOR)[2]))[0]

    def is_before(version: Version) -> bool:
        if version.updated < first:
            return True
        if last is None or (end is not None and version.updated >= end):
            return False
        return bool(version.stamp <= last)

    return is_before


class RecordingStore(MemoryStore):
    """A store that reports to the recorder, and hangs after a crash."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder
        self._revision = 0
        self.crashed = False

    async def save(self, name: str, position: Position, *, after: int) -> Checkpoint:
        await self._hang_if_crashed()
        await pass_time(0.003)
        await self._hang_if_crashed()
        self.recorder.false_claims |= self.recorder.claimed(position) - self.recorder.handled
        saved = await super().save(name, position, after=after)
        if saved.revision != self._revision + 1:
            self.recorder.wrong_revisions.append(saved.revision)
        self._revision = saved.revision
        await pass_time(0.003)
        await self._hang_if_crashed()
        return saved

    async def _hang_if_crashed(self) -> None:
        if self.crashed:
            await asyncio.Event().wait()


class Handler:
    """The handler of one run."""

    def __init__(
        self,
        history: History,
        recorder: Recorder,
        run: int,
        settled: set[Identity],
        idle: "IdleDetector",
    ) -> None:
        self._idle = idle
        self._history = history
        self._recorder = recorder
        self._run = run
        self._settled = settled
        self._chance = Random(f"{history.seed} {run}")
        self._running: set[str] = set()
        self.failing = False
        self.ended = False

    async def __call__(self, session: CoachingSession) -> None:
        self._idle.touch()
        driver, one = session.driver.driver_id, identity(session)
        if driver in self._running:
            self._recorder.concurrent.append(driver)
        self._running.add(driver)
        started = self._recorder.started[self._run, driver]
        if not started or started[-1] != one:  # a retry is no new start
            started.append(one)
        try:
            await pass_time(self._history.handling_seconds * self._chance.random())
            if self.failing or self._chance.random() < self._history.failure_rate:
                raise HandlerError(f"run {self._run}")
        finally:
            self._running.discard(driver)
        if self.ended:
            self._recorder.handled_late.append(one)
            return
        self._recorder.handled.add(one)
        if one in self._settled:
            self._recorder.redelivered.add(one)


def run_history(history: History) -> Recorder:
    """Run a history to its end, and return the recorder."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_run_history(history))


async def _run_history(history: History) -> Recorder:
    world = World(
        history.seed,
        drivers=history.drivers,
        sessions=history.sessions,
        changes_per_hour=0,
        times=history.times,
        changing_behaviors=history.changing_behaviors,
    )
    emulator = Emulator(
        world, profile=history.profile, faults=history.faults, page_size=history.page_size
    )
    recorder, store = Recorder(emulator), None
    store = RecordingStore(recorder)
    exchange = InMemoryExchange(emulator, latency=0.5, chance=Random(history.seed))
    changing = asyncio.ensure_future(_change_world(world, history))
    for number, run in enumerate(history.runs):
        await _run_consumer(history, store, exchange, number, run)
    await changing
    # The last run has no faults, so that it can catch up.
    emulator.faults.clear()
    reliable = replace(history, failure_rate=0.0)
    await _run_consumer(reliable, store, exchange, len(history.runs), (float("inf"), "close"))
    return recorder


async def _change_world(world: World, history: History) -> None:
    chance, known = Random(history.seed), [one["id"] for one in world.sessions()]
    for number, (pause, change) in enumerate(history.changes):
        await pass_time(pause)
        chosen = chance.choice(known) if known else ""
        if change == "add" or not known:
            known.append(world.add_session())
        elif change == "all":
            world.annotate_all(f"bulk {number}")
        elif change == "annotate" or world.record.sessions[chosen].latest.state.status == change:
            world.annotate(chosen, f"note {number}")  # what changes nothing is no version
        else:
            getattr(world, change)(chosen)


async def _run_consumer(
    history: History,
    store: RecordingStore,
    exchange: InMemoryExchange,
    number: int,
    run: tuple[float, str],
) -> None:
    """Run a consumer for some time, or until it has caught up, and end it as drawn."""
    (length, ending), recorder = run, store.recorder
    saved = await store.load("it")
    settled = set() if saved is None else recorder.claimed(saved.position)
    idle = IdleDetector()
    handler = Handler(history, recorder, number, settled, idle)
    before = asyncio.all_tasks()
    clock = LeapingClock()
    clock.leapt = history.clock_ahead
    async with client_in_memory(
        exchange, chance=Random(number), observer=idle, clock=clock
    ) as client:
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
                observer=idle,
                clock=clock,
                random=Random(number),
            )
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(None if length == float("inf") else length):
                while not running.done() and not idle.caught_up:
                    await pass_time(1.0)
        if ending == "crash":
            store.crashed = True
        if ending in {"crash", "cancel"}:
            running.cancel()
        elif ending == "fail":
            handler.failing = True
            await pass_time(1.0)
        if not running.done():
            await stream.aclose()
        with suppress(HandlerError, asyncio.CancelledError):
            await running
    handler.ended = True
    store.crashed = False
    recorder.left_running += [repr(task) for task in asyncio.all_tasks() - before]


class IdleDetector:
    """An observer that detects when nothing new has happened for some time."""

    def __init__(self) -> None:
        self.touch()

    def __call__(self, event: Event) -> None:
        routine = isinstance(event, CaughtUp | RequestStarted | RequestFinished | CheckpointSaved)
        if not routine and not (isinstance(event, PageRead) and event.sessions == 0):
            self.touch()

    def touch(self) -> None:
        """Note that something has happened."""
        self._since = LoopClock().monotonic()

    @property
    def caught_up(self) -> bool:
        return LoopClock().monotonic() - self._since > CATCH_UP_SECONDS

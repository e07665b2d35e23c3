"""One run, from its plan to what came of it."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import aiohttp

from coachstream import Client
from coachstream.emulator import Emulator, World
from coachstream.testing import most_in_a_second
from tests.simulate import loop
from tests.simulate.journal import LAST, Journal
from tests.simulate.network import Connector, Network
from tests.simulate.plan import Ending, Plan, draw
from tests.simulate.staffing import reassign
from tests.simulate.stage import Stage
from tests.simulate.subjects import Subject
from tests.support.emulated import TOKEN
from tests.support.virtual_time import pass_time

LIMITS = {"/coaching/sessions/stream": 5, "/coaching/driver-coach-assignments": 10}
MOST_REQUESTS = 20_000
"""In one run; more of them are a loop that spins."""
LONGEST = 400 * 86_400.0
"""Seconds of a run: without this timer one that hangs would have nothing that moves its time on."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    seed: int
    plan: Plan
    seconds: float
    """That were simulated."""
    delivered: int
    requests: int
    crashes: int
    faults: Counter[str]
    subjects: Counter[str]
    violations: tuple[str, ...]
    trace: tuple[str, ...]
    digest: str


def simulate(seed: int, last: int = LAST) -> Outcome:
    """Live through what one seed has drawn, and remember so many of its last events."""
    plan, journal = draw(seed), Journal(last)
    seconds = 0.0

    async def work() -> None:
        nonlocal seconds
        try:
            async with asyncio.timeout(LONGEST):
                await _Run(plan, journal).live()
        except TimeoutError:
            journal.violate("it never hangs", [repr(task) for task in asyncio.all_tasks()])
        seconds = asyncio.get_running_loop().time()

    loop.run(work, lambda context: journal.violate("no complaint of the loop's", context))
    return Outcome(
        seed=seed,
        plan=plan,
        seconds=seconds,
        delivered=journal.delivered,
        requests=journal.requests,
        crashes=journal.crashes,
        faults=journal.faults,
        subjects=journal.subjects,
        violations=tuple(journal.violations),
        trace=tuple(journal.trace),
        digest=journal.digest,
    )


class _Run:
    def __init__(self, plan: Plan, journal: Journal) -> None:
        self._plan = plan
        self._journal = journal
        world = World(
            plan.seed, drivers=plan.drivers, coaches=3, sessions=plan.sessions, changes_per_hour=0
        )
        emulator = Emulator(
            world,
            profile=plan.profile,
            page_size=plan.page_size,
            cursor_life=timedelta(seconds=plan.cursor_life),
            remember=200,
        )
        self._stage = Stage(plan, emulator, journal)
        self._subjects = [
            Subject(self._stage, subject, number) for number, subject in enumerate(plan.subjects)
        ]
        self._network = Network(plan, emulator, self._stage.skies, journal)
        self._chance = Random(f"run {plan.seed}")

    async def live(self) -> None:
        """Live life after life, the last one until all is done."""
        self._set_in_motion()
        for number, (length, ending, pause) in enumerate(self._plan.lives):
            await self._one_life(number, length, ending)
            left = self._plan.calm - asyncio.get_running_loop().time()
            await pass_time(pause if pause > 86_400 else max(0.0, min(pause, left)))
        await self._one_life(len(self._plan.lives), None, "close")
        for subject in self._subjects:
            subject.watch.judge_order()
            if subject.watch.missing and not self._journal.violations:
                self._journal.violate("nothing is lost", sorted(subject.watch.missing))

    def _set_in_motion(self) -> None:
        later, world = asyncio.get_running_loop().call_later, self._stage.emulator.world
        chance, known = Random(f"acts {self._plan.seed}"), sorted(world.record.sessions)

        def act(what: str) -> None:
            self._journal.note("act", what)
            if what in {"add", "burst"} or not known:
                known.extend(world.add_session() for _ in range(12 if what == "burst" else 1))
            elif what == "annotate":
                world.annotate(chance.choice(known), "a note")
            else:
                getattr(world, what)(chance.choice(known))

        def leap(seconds: float) -> None:
            self._journal.fault("clock leaps")
            self._stage.clock.leapt = timedelta(seconds=seconds)

        for at, what in self._plan.acts:
            later(at, act, what)
        for at, seconds in self._plan.leaps:
            later(at, leap, seconds)

    async def _one_life(self, number: int, length: float | None, ending: Ending) -> None:
        """Have a client and its users, for so long or until all is done, and end them."""
        before = asyncio.all_tasks()
        self._network.departures.clear()
        async with self._client(number) as client:
            tasks = [asyncio.create_task(subject.go_on(client)) for subject in self._subjects]
            side = Random(f"staff {self._plan.seed} {number}")
            if self._plan.assignments:
                tasks.append(asyncio.create_task(reassign(self._stage, client, side)))
            try:
                await self._pass(length, tasks)
                await self._end(ending, client, tasks)
            finally:
                await self._bury(tasks, client)
        await asyncio.sleep(0)  # noqa: TID251  # in which aiohttp lets go of its connections
        self._revive()
        if left := [repr(task) for task in asyncio.all_tasks() - before]:
            self._journal.violate("no task is left", left)
        for endpoint, times in self._network.departures.items():
            if (most := most_in_a_second(times)) > LIMITS[endpoint]:
                self._journal.violate("the limit is kept", (endpoint, most))

    @asynccontextmanager
    async def _client(self, number: int) -> AsyncIterator[Client]:
        stage = self._stage
        async with (
            aiohttp.ClientSession(
                connector=Connector(self._network), cookie_jar=aiohttp.DummyCookieJar()
            ) as http,
            Client(
                TOKEN,
                base_url="http://127.0.0.1:1",
                http=http,
                clock=stage.clock,
                random=Random(f"client {self._plan.seed} {number}"),
                observer=stage.observe,
            ) as client,
        ):
            yield client

    async def _pass(self, length: float | None, tasks: list[asyncio.Task[None]]) -> None:
        now = asyncio.get_running_loop().time
        end = now() + length if length is not None else None
        begin = max(now(), self._plan.calm * 1.02)
        while not all(task.done() for task in tasks[: len(self._subjects)]):
            if end is not None and now() >= end:
                return
            if end is None and now() >= 1.02 * self._plan.calm and self._all_done:
                return
            if end is None and now() >= begin + self._patience:
                missing = [len(one.watch.missing) for one in self._subjects]
                self._journal.violate("it never stalls", f"{missing} missing")
                return
            if self._journal.requests > MOST_REQUESTS:
                self._journal.violate("it never spins", self._journal.requests)
                return
            step = max(1.0, self._plan.calm / 500)
            await pass_time(step if end is None else min(step, max(0.001, end - now())))

    @property
    def _all_done(self) -> bool:
        return all(subject.done for subject in self._subjects)

    @property
    def _patience(self) -> float:
        """Seconds after the last fault in which everything there is must have been handled."""
        versions = len(self._stage.emulator.world.versions())
        polls = max(one.poll for one in self._plan.subjects)
        work = max(one.slowness for one in self._plan.subjects) * versions
        if self._plan.profile.empty_pages:
            # A feed that often says "more" on empty pages is soon asked no faster than polled.
            polls *= 1 + versions
        return 1800 + 20 * polls + 2 * work + 20 * versions

    async def _end(self, ending: Ending, client: Client, tasks: list[asyncio.Task[None]]) -> None:
        self._journal.note("ending", ending)
        for subject in self._subjects:
            subject.over = ending != "fail"  # those fail once more, and may begin again
        match ending:
            case "crash":
                self._crash()
            case "close client":
                with suppress(Exception):  # what a store raises is the service's affair
                    await client.aclose()
            case "close":
                await self._close_streams()
            case "fail":
                for subject in self._subjects:
                    subject.dying = True
                await pass_time(60 * self._chance.random())
        self._journal.faults[f"life ends by {ending}"] += 1
        if ending in {"close", "close client"}:
            closing = tasks[: len(self._subjects)]
            # A consumer learns of a closed client when it reads again, having handled what it has.
            await asyncio.wait(closing, timeout=self._patience)
            if self._stage.skies.calm and any(not task.done() for task in closing):
                self._journal.violate("it stops when closed", ending)

    def _crash(self) -> None:
        """From now on nothing that lives reaches anything."""
        self._journal.crashes += 1
        self._network.alive = False
        for subject in self._subjects:
            subject.store.dead = True

    async def _close_streams(self) -> None:
        for subject in self._subjects:
            if subject.stream is not None:
                with suppress(Exception):  # what a store raises is the service's affair
                    await subject.stream.aclose()

    async def _bury(self, tasks: list[asyncio.Task[None]], client: Client) -> None:
        for subject in self._subjects:
            subject.over = True
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._journal.violate("nothing unexpected is raised", repr(error))
        with suppress(Exception):  # what a store raises is the service's affair
            await client.aclose()

    def _revive(self) -> None:
        gc.collect()
        self._network.alive = True
        for subject in self._subjects:
            subject.store.dead = subject.dying = subject.over = False

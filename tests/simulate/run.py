"""One run, from its plan to its outcome."""

import asyncio
import gc
import itertools
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
from tests.simulate.assignments import change_assignments
from tests.simulate.context import Context
from tests.simulate.journal import TRACE_LENGTH, Journal
from tests.simulate.network import Connector, Network
from tests.simulate.plan import Ending, Plan, draw
from tests.simulate.subjects import Subject
from tests.support.emulated import TOKEN
from tests.support.versions import decoded, identity_of
from tests.support.virtual_time import pass_time

LIMITS = {"/coaching/sessions/stream": 5, "/coaching/driver-coach-assignments": 10}
MOST_REQUESTS = 20_000
"""Requests of one run; more mean that a loop spins."""
TIME_LIMIT = 400 * 86_400.0
"""Seconds of a run. Without this timer, virtual time would stop in a run that hangs."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run."""

    seed: int
    plan: Plan
    seconds: float
    """Simulated seconds."""
    delivered: int
    requests: int
    crashes: int
    faults: Counter[str]
    subjects: Counter[str]
    violations: tuple[str, ...]
    trace: tuple[str, ...]
    digest: str


def simulate(seed: int, trace_length: int = TRACE_LENGTH) -> Outcome:
    """Run the plan of a seed; keep ``trace_length`` of its last events."""
    plan, journal = draw(seed), Journal(trace_length)
    seconds = 0.0

    async def work() -> None:
        nonlocal seconds
        try:
            async with asyncio.timeout(TIME_LIMIT):
                await _Run(plan, journal).run()
        except TimeoutError:
            journal.violation("it never hangs", [repr(task) for task in asyncio.all_tasks()])
        seconds = asyncio.get_running_loop().time()

    loop.run(work, lambda context: journal.violation("the event loop reports no error", context))
    for known in (decoded, identity_of):
        known.cache_clear()  # these versions would keep their worlds alive
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
            plan.seed,
            drivers=plan.drivers,
            coaches=3,
            sessions=plan.sessions,
            changes_per_hour=0,
            times=plan.times,
            changing_behaviors=plan.changing_behaviors,
        )
        emulator = Emulator(
            world,
            profile=plan.profile,
            page_size=plan.page_size,
            cursor_life=timedelta(seconds=plan.cursor_life),
            remember=200,
        )
        self._context = Context(plan, emulator, journal)
        self._subjects = [
            Subject(self._context, subject, number) for number, subject in enumerate(plan.subjects)
        ]
        self._network = Network(plan, emulator, self._context.faults, journal)
        self._chance = Random(f"run {plan.seed}")

    async def run(self) -> None:
        """Run one client after another, the last one until all is done."""
        self._schedule_changes()
        for number, (length, ending, pause) in enumerate(self._plan.runs):
            await self._run_client(number, length, ending)
            left = self._plan.faults_end - asyncio.get_running_loop().time()
            await pass_time(pause if pause > 86_400 else max(0.0, min(pause, left)))
        await self._run_client(len(self._plan.runs), None, "close")
        for subject in self._subjects:
            subject.checker.check_order()
            if subject.checker.missing and not self._journal.violations:
                self._journal.violation("nothing is lost", sorted(subject.checker.missing))

    def _schedule_changes(self) -> None:
        later, world = asyncio.get_running_loop().call_later, self._context.emulator.world
        chance, known = Random(f"acts {self._plan.seed}"), sorted(world.record.sessions)
        notes = (f"note {number}" for number in itertools.count())

        def change(what: str) -> None:
            self._journal.note("act", what)
            if what in {"add", "burst"} or not known:
                known.extend(world.add_session() for _ in range(12 if what == "burst" else 1))
                return
            chosen = chance.choice(known)
            if what == "all":
                world.annotate_all(next(notes))
            elif what == "annotate" or world.record.sessions[chosen].latest.state.status == what:
                world.annotate(chosen, next(notes))  # what changes nothing is no version
            else:
                getattr(world, what)(chosen)

        def set_clock(seconds: float) -> None:
            self._journal.fault("clock jumps")
            self._context.clock.leapt = timedelta(seconds=seconds)

        for at, what in self._plan.changes:
            later(at, change, what)
        for at, seconds in self._plan.clock_jumps:
            later(at, set_clock, seconds)

    async def _run_client(self, number: int, length: float | None, ending: Ending) -> None:
        """Run a client and its subjects for some time or until all is done, then end them."""
        before = asyncio.all_tasks()
        self._network.request_times.clear()
        async with self._client(number) as client:
            tasks = [asyncio.create_task(subject.run(client)) for subject in self._subjects]
            chance = Random(f"staff {self._plan.seed} {number}")
            if self._plan.assignments:
                tasks.append(asyncio.create_task(change_assignments(self._context, client, chance)))
            try:
                await self._wait(length, tasks)
                await self._end(ending, client, tasks)
            finally:
                await self._clean_up(tasks, client)
        await asyncio.sleep(0)  # noqa: TID251  # lets aiohttp close its connections
        self._reset()
        if left := [repr(task) for task in asyncio.all_tasks() - before]:
            self._journal.violation("no task is left", left)
        for endpoint, times in self._network.request_times.items():
            if (most := most_in_a_second(times)) > LIMITS[endpoint]:
                self._journal.violation("the limit is kept", (endpoint, most))

    @asynccontextmanager
    async def _client(self, number: int) -> AsyncIterator[Client]:
        context = self._context
        async with (
            aiohttp.ClientSession(
                connector=Connector(self._network), cookie_jar=aiohttp.DummyCookieJar()
            ) as http,
            Client(
                TOKEN,
                base_url="http://127.0.0.1:1",
                http=http,
                clock=context.clock,
                random=Random(f"client {self._plan.seed} {number}"),
                observer=context.observe,
            ) as client,
        ):
            yield client

    async def _wait(self, length: float | None, tasks: list[asyncio.Task[None]]) -> None:
        now = asyncio.get_running_loop().time
        end = now() + length if length is not None else None
        faults_over = 1.02 * self._plan.faults_end
        begin = max(now(), faults_over)
        while not all(task.done() for task in tasks[: len(self._subjects)]):
            if end is not None and now() >= end:
                return
            if end is None and now() >= faults_over and self._all_done:
                return
            if end is None and now() >= begin and now() >= begin + self._time_limit:
                missing = [len(one.checker.missing) for one in self._subjects]
                self._journal.violation("it never stalls", f"{missing} missing")
                return
            if self._journal.requests > MOST_REQUESTS:
                self._journal.violation("it never spins", self._journal.requests)
                return
            step = max(1.0, self._plan.faults_end / 500)
            await pass_time(step if end is None else min(step, max(0.001, end - now())))

    @property
    def _all_done(self) -> bool:
        return all(subject.done for subject in self._subjects)

    @property
    def _time_limit(self) -> float:
        """Seconds after the last fault within which all sessions must be handled."""
        versions = len(self._context.emulator.world.record.every)
        polls = max(one.poll_interval for one in self._plan.subjects)
        work = max(one.handling_seconds for one in self._plan.subjects) * versions
        if self._plan.profile.empty_pages:
            # After many empty pages with hasNextPage, the feed is read at the poll interval.
            polls *= 1 + versions
        return 1800 + 20 * polls + 2 * work + 20 * versions

    async def _end(self, ending: Ending, client: Client, tasks: list[asyncio.Task[None]]) -> None:
        self._journal.note("ending", ending)
        for subject in self._subjects:
            subject.stopped = ending != "fail"  # failing subjects start again
        match ending:
            case "crash":
                self._crash()
            case "close client":
                with suppress(Exception):  # the store may raise
                    await client.aclose()
            case "close":
                await self._close_streams()
            case "fail":
                for subject in self._subjects:
                    subject.failing = True
                await pass_time(60 * self._chance.random())
        self._journal.faults[f"run ends by {ending}"] += 1
        if ending in {"close", "close client"}:
            closing = tasks[: len(self._subjects)]
            # A consumer notices a closed client only when it reads the next page.
            await asyncio.wait(closing, timeout=self._time_limit)
            if self._context.faults.over and any(not task.done() for task in closing):
                self._journal.violation("it stops when closed", ending)

    def _crash(self) -> None:
        """Cut the client off from the network and the stores."""
        self._journal.crashes += 1
        self._network.alive = False
        for subject in self._subjects:
            subject.store.crashed = True

    async def _close_streams(self) -> None:
        for subject in self._subjects:
            if subject.stream is not None:
                with suppress(Exception):  # the store may raise
                    await subject.stream.aclose()

    async def _clean_up(self, tasks: list[asyncio.Task[None]], client: Client) -> None:
        for subject in self._subjects:
            subject.stopped = True
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._journal.violation("nothing unexpected is raised", repr(error))
        with suppress(Exception):  # the store may raise
            await client.aclose()

    def _reset(self) -> None:
        gc.collect()
        self._network.alive = True
        for subject in self._subjects:
            subject.store.crashed = subject.failing = subject.stopped = False

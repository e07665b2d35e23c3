"""The plan of a run, drawn from its seed before anything happens."""

from dataclasses import dataclass, replace
from random import Random
from typing import Literal, get_args

from coachstream.emulator import Profile
from coachstream.emulator.versions import Times

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

Interface = Literal["loop", "pages", "consume"]
Ending = Literal["crash", "cancel", "close", "close client", "fail"]

SOFT = (
    "refused connection",
    "slow connection",
    "dropped",
    "no headers",
    "half of the headers",
    "trickle",
    "cut short",
    "stall",
    "slow",
    "garble",
    "malformed session",
    "empty page",
    "408",
    "429",
    "429 without Retry-After",
    "500",
    "502",
    "503",
    "504",
)
"""Faults that the library must retry by itself."""
HARD = ("400", "401", "403", "404", "501", "redirect", "oversize")
"""Faults that the library raises, so that its user starts again."""
STORE = (
    "save fails",
    "save fails after it was stored",
    "save is slow",
    "save hangs",
    "load fails",
    "load is slow",
)


@dataclass(frozen=True)
class FaultPeriod:
    """A period in which operations fail."""

    begin: float
    end: float
    probability: float
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class SubjectPlan:
    """How one user uses the library."""

    interface: Interface
    backfill: bool
    bounded: bool
    readers: int
    drivers: int
    """How many drivers the query selects; 0 for all."""
    days_back: float
    moving_start: bool
    poll_interval: float
    keep_raw: bool
    settles_malformed: bool
    concurrency: int
    max_unsettled: int
    on_failure: Literal["stop", "skip", "park"]
    handling_seconds: float
    failure_rate: float
    ack_rate: float
    leave_rate: float
    timeout_rate: float

    @property
    def name(self) -> str:
        """The name of this usage."""
        source = "backfill" if self.backfill else "stream" + " by windows" * (self.readers > 1)
        return f"{source}, {self.interface}"


@dataclass(frozen=True)
class Plan:
    """The whole plan of a run."""

    seed: int
    sessions: int
    drivers: int
    page_size: tuple[int, int]
    profile: Profile
    times: Times
    changing_behaviors: bool
    latency: float
    gzip: bool
    cursor_life: float
    faults_end: float
    """When the last fault ends."""
    changes: tuple[tuple[float, str], ...]
    fault_periods: tuple[FaultPeriod, ...]
    runs: tuple[tuple[float, Ending, float], ...]
    """The length of each run of the client, its end, and the pause after it."""
    clock_jumps: tuple[tuple[float, float], ...]
    """When the client's clock is set to a wrong time, and by how many seconds."""
    observer_failure_rate: float
    subjects: tuple[SubjectPlan, ...]
    assignments: bool


def draw(seed: int) -> Plan:
    """Draw the plan of a seed."""
    chance = Random(f"plan {seed}")
    faults_end = chance.choice([5 * MINUTE, HOUR, 12 * HOUR, 3 * DAY, 10 * DAY, 35 * DAY])
    faults_end *= chance.uniform(0.3, 1.0)
    poll = max(5.0, faults_end / 120)
    low = chance.randint(1, 8)
    profile = _draw_profile(chance)
    times = chance.choice(["unique", *get_args(Times)])
    if times == "ahead" and not profile.date_header:
        times = "unique"  # with clock jumps as well, nothing would tell the time
    return Plan(
        seed=seed,
        sessions=chance.choice([0, 3, 15, 40, 90]),
        drivers=chance.randint(1, 8),
        page_size=(low, low + chance.randint(0, 8)),
        profile=profile,
        times=times,
        changing_behaviors=chance.random() < 0.5,
        latency=chance.choice([0.02, 0.3, 2.0]),
        gzip=chance.random() < 0.2,
        cursor_life=chance.choice(
            [30 * DAY, 30 * DAY, max(HOUR, 15 * poll), max(4 * HOUR, faults_end)]
        ),
        faults_end=faults_end,
        changes=tuple(
            (faults_end * 1.02 * chance.random(), chance.choice(_CHANGES))
            for _ in range(chance.choice([0, 5, 20, 40]))
        ),
        fault_periods=tuple(
            _draw_fault_period(chance, faults_end) for _ in range(chance.randint(0, 4))
        ),
        runs=tuple(_draw_run(chance, faults_end) for _ in range(chance.randint(0, 4))),
        clock_jumps=tuple(
            (faults_end * chance.random(), chance.choice(_CLOCK_JUMPS) * chance.random())
            for _ in range(chance.choice([0, 0, 1, 3]))
        ),
        observer_failure_rate=chance.choice([0.0, 0.0, 0.05]),
        subjects=tuple(_draw_subject(chance, poll) for _ in range(chance.choice([1, 1, 1, 2]))),
        assignments=chance.random() < 0.25,
    )


def faults_only(period: FaultPeriod) -> Plan:
    """Return a plan that has nothing but one period of faults."""
    nothing = replace(draw(0), changes=(), runs=(), clock_jumps=(), subjects=(), assignments=False)
    return replace(
        nothing,
        latency=0.3,
        gzip=False,
        fault_periods=(period,),
        faults_end=period.end,
    )


_CHANGES = ("add", "add", "annotate", "complete", "reassign", "delete", "burst", "all")
_CLOCK_JUMPS = (-9 * HOUR, -HOUR, HOUR, 9 * HOUR, -40 * DAY, 40 * DAY)


def _draw_profile(chance: Random) -> Profile:
    if chance.random() < 0.5:
        return chance.choice(Profile.every())
    return Profile(
        caught_up_has_next=chance.random() < 0.5,
        caught_up_cursor=chance.choice(["same", "new", "empty"]),
        terminal_cursor=chance.choice(["kept", "empty"]),
        end_inclusive=chance.random() < 0.3,
        versions=chance.choice(["latest", "every"]),
        error_bodies=chance.choice(["json", "text"]),
        cursors=chance.choice(["unique", "place"]),
        pages_overlap=chance.random() < 0.3,
        spurious_refusals=chance.choice([0.0, 0.1]),
        date_header=chance.random() < 0.7,
        short_pages=chance.choice([0.0, 0.3]),
        empty_pages=chance.choice([0.0, 0.3]),
    )


def _draw_fault_period(chance: Random, end: float) -> FaultPeriod:
    begin = end * chance.choice([0.0, chance.random()])
    length = chance.choice([10.0, 5 * MINUTE, end, 0.1 * end])
    kinds = chance.sample([*SOFT, *STORE], chance.randint(1, 6))
    if chance.random() < 0.3:
        kinds = [*kinds, chance.choice(HARD)]
    # Days on which every request fails would only cost many requests.
    probability = chance.choice([0.05, 0.3] if length > 2 * HOUR else [0.05, 0.3, 0.8, 1.0])
    return FaultPeriod(begin, min(begin + length, end), probability, tuple(kinds))


def _draw_run(chance: Random, faults_end: float) -> tuple[float, Ending, float]:
    length = chance.choice([5.0, 60.0, 0.3 * faults_end]) * chance.random()
    ending: Ending = chance.choice(["crash", "crash", "cancel", "close", "close client", "fail"])
    return length, ending, chance.choice([0.0, 1.0, 60.0, 0.2 * faults_end, 31 * DAY])


def _draw_subject(chance: Random, poll: float) -> SubjectPlan:
    backfill = chance.random() < 0.25
    return SubjectPlan(
        interface=chance.choice(["loop", "pages", "consume", "consume"]),
        backfill=backfill,
        bounded=backfill or chance.random() < 0.15,
        readers=chance.choice([2, 5]) if backfill or chance.random() < 0.4 else 1,
        drivers=chance.choice([0, 0, 0, 1, 2]),
        days_back=chance.choice([1.0, 30.0, 100.0]),
        moving_start=chance.random() < 0.2,
        poll_interval=poll,
        keep_raw=chance.random() < 0.2,
        settles_malformed=chance.random() < 0.5,
        concurrency=chance.choice([1, 3, 16]),
        max_unsettled=chance.choice([1, 5, 30, 1000]),
        on_failure=chance.choice(["stop", "stop", "skip", "park"]),
        handling_seconds=chance.choice([0.0, 0.0, 0.1, 3.0, 40.0]),
        failure_rate=chance.choice([0.0, 0.0, 0.05, 0.3]),
        ack_rate=chance.choice([0.0, 0.1, 1.0]),
        leave_rate=chance.choice([0.0, 0.02]),
        timeout_rate=chance.choice([0.0, 0.1]),
    )

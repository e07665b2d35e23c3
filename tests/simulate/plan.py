"""What a run is to be: drawn whole from one seed, before anything happens."""

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from coachstream.emulator import Profile

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

Way = Literal["loop", "pages", "consume"]
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
    "429 without a time",
    "500",
    "502",
    "503",
    "504",
)
"""What the library is to mend by itself."""
HARD = ("400", "401", "403", "404", "501", "redirect", "oversize")
"""What it can't, so that whoever runs it begins again."""
STORE = (
    "save fails",
    "save fails after it happened",
    "save is slow",
    "save hangs",
    "load fails",
    "load is slow",
)


@dataclass(frozen=True)
class Weather:
    """A stretch of time in which things fail."""

    begin: float
    end: float
    likely: float
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class SubjectPlan:
    """One way into the library, and what its user does."""

    way: Way
    backfill: bool
    bounded: bool
    readers: int
    drivers: int
    """How many drivers are asked for; 0 for all."""
    days_back: float
    moving_start: bool
    poll: float
    keep_raw: bool
    settles_malformed: bool
    concurrency: int
    max_unsettled: int
    on_failure: Literal["stop", "skip", "park"]
    slowness: float
    failing: float
    acks: float
    breaks: float
    impatience: float

    @property
    def name(self) -> str:
        """Names what is tried."""
        source = "backfill" if self.backfill else "stream" + " by windows" * (self.readers > 1)
        return f"{source}, {self.way}"


@dataclass(frozen=True)
class Plan:
    """All of a run."""

    seed: int
    sessions: int
    drivers: int
    page_size: tuple[int, int]
    profile: Profile
    latency: float
    gzip: bool
    cursor_life: float
    calm: float
    """When the last fault is over."""
    acts: tuple[tuple[float, str], ...]
    weather: tuple[Weather, ...]
    lives: tuple[tuple[float, Ending, float], ...]
    """How long each lasts, how it ends, and for how long there is no other."""
    leaps: tuple[tuple[float, float], ...]
    """When the client's clock is set wrong, and by how many seconds."""
    observer_fails: float
    subjects: tuple[SubjectPlan, ...]
    assignments: bool


def draw(seed: int) -> Plan:
    """Draw a plan."""
    chance = Random(f"plan {seed}")
    calm = chance.choice([5 * MINUTE, HOUR, 12 * HOUR, 3 * DAY, 10 * DAY, 35 * DAY])
    calm *= chance.uniform(0.3, 1.0)
    poll = max(5.0, calm / 120)
    low = chance.randint(1, 8)
    return Plan(
        seed=seed,
        sessions=chance.choice([0, 3, 15, 40, 90]),
        drivers=chance.randint(1, 8),
        page_size=(low, low + chance.randint(0, 8)),
        profile=_profile(chance),
        latency=chance.choice([0.02, 0.3, 2.0]),
        gzip=chance.random() < 0.2,
        cursor_life=chance.choice([30 * DAY, 30 * DAY, max(HOUR, 15 * poll), max(4 * HOUR, calm)]),
        calm=calm,
        acts=tuple(
            (calm * 1.02 * chance.random(), chance.choice(_ACTS))
            for _ in range(chance.choice([0, 5, 20, 40]))
        ),
        weather=tuple(_weather(chance, calm) for _ in range(chance.randint(0, 4))),
        lives=tuple(_life(chance, calm) for _ in range(chance.randint(0, 4))),
        leaps=tuple(
            (calm * chance.random(), chance.choice(_LEAPS) * chance.random())
            for _ in range(chance.choice([0, 0, 1, 3]))
        ),
        observer_fails=chance.choice([0.0, 0.0, 0.05]),
        subjects=tuple(_subject(chance, poll) for _ in range(chance.choice([1, 1, 1, 2]))),
        assignments=chance.random() < 0.25,
    )


def plain(weather: Weather) -> Plan:
    """Return a plan with this weather for one whose world, life and subjects are another's."""
    nothing = replace(draw(0), acts=(), lives=(), leaps=(), subjects=(), assignments=False)
    return replace(nothing, latency=0.3, gzip=False, weather=(weather,), calm=weather.end)


_ACTS = ("add", "add", "annotate", "complete", "reassign", "delete", "burst")
_LEAPS = (-9 * HOUR, -HOUR, HOUR, 9 * HOUR, -40 * DAY, 40 * DAY)


def _profile(chance: Random) -> Profile:
    if chance.random() < 0.5:
        return chance.choice(Profile.every())
    return Profile(
        caught_up_has_next=chance.random() < 0.5,
        caught_up_cursor=chance.choice(["same", "new", "empty"]),
        terminal_cursor=chance.choice(["kept", "empty"]),
        end_inclusive=chance.random() < 0.3,
        versions=chance.choice(["latest", "every"]),
        error_bodies=chance.choice(["json", "text"]),
        short_pages=chance.choice([0.0, 0.3]),
        empty_pages=chance.choice([0.0, 0.3]),
    )


def _weather(chance: Random, calm: float) -> Weather:
    begin = calm * chance.choice([0.0, chance.random()])
    length = chance.choice([10.0, 5 * MINUTE, calm, 0.1 * calm])
    kinds = chance.sample([*SOFT, *STORE], chance.randint(1, 6))
    if chance.random() < 0.3:
        kinds = [*kinds, chance.choice(HARD)]
    # Days of nothing but refusals would only be many requests.
    likely = chance.choice([0.05, 0.3] if length > 2 * HOUR else [0.05, 0.3, 0.8, 1.0])
    return Weather(begin, min(begin + length, calm), likely, tuple(kinds))


def _life(chance: Random, calm: float) -> tuple[float, Ending, float]:
    length = chance.choice([5.0, 60.0, 0.3 * calm]) * chance.random()
    ending: Ending = chance.choice(["crash", "crash", "cancel", "close", "close client", "fail"])
    return length, ending, chance.choice([0.0, 1.0, 60.0, 0.2 * calm, 31 * DAY])


def _subject(chance: Random, poll: float) -> SubjectPlan:
    backfill = chance.random() < 0.25
    return SubjectPlan(
        way=chance.choice(["loop", "pages", "consume", "consume"]),
        backfill=backfill,
        bounded=backfill or chance.random() < 0.15,
        readers=chance.choice([2, 5]) if backfill or chance.random() < 0.4 else 1,
        drivers=chance.choice([0, 0, 0, 1, 2]),
        days_back=chance.choice([1.0, 30.0, 100.0]),
        moving_start=chance.random() < 0.2,
        poll=poll,
        keep_raw=chance.random() < 0.2,
        settles_malformed=chance.random() < 0.5,
        concurrency=chance.choice([1, 3, 16]),
        max_unsettled=chance.choice([1, 5, 30, 1000]),
        on_failure=chance.choice(["stop", "stop", "skip", "park"]),
        slowness=chance.choice([0.0, 0.0, 0.1, 3.0, 40.0]),
        failing=chance.choice([0.0, 0.0, 0.05, 0.3]),
        acks=chance.choice([0.0, 0.1, 1.0]),
        breaks=chance.choice([0.0, 0.02]),
        impatience=chance.choice([0.0, 0.1]),
    )

"""Who lives through the troubles: each way into the library, and what it must have done."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TypeVar

from coachstream import (
    Client,
    CoachingSession,
    CoachStreamError,
    Event,
    MalformedSessionError,
    MemoryLedger,
    consume,
)
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import Emulator
from tests.support.emulated import LONG_AGO, key
from tests.support.virtual_time import LeapingClock, pass_time

T = TypeVar("T")
Key = tuple[str, str]

PATIENCE = 5
"""Errors that end a try and are followed by another; no script has as many."""


@dataclass
class Scene:
    """A client, what it talks to, and what came of it."""

    api: Emulator
    client: Client
    clock: LeapingClock
    events: list[Event]
    raised: list[CoachStreamError] = field(default_factory=list)
    """What the library would not mend by itself."""

    async def insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again and again, as a user would after looking at the error."""
        while True:
            try:
                return await ask()
            except CoachStreamError as error:
                self.raised.append(error)
                if len(self.raised) > PATIENCE:
                    raise

    @property
    def sessions(self) -> list[Key]:
        """What is to be delivered, in the feed's order."""
        latest = self.api.world.latest()
        return [one for one in self.api.world.versions() if one in latest]

    def named(self, error: MalformedSessionError) -> Key:
        """Return the version that could not be read."""
        (one,) = (version for version in self.sessions if version[0] == error.session_id)
        return one


async def stream(scene: Scene) -> None:
    """Loop over sessions; whatever is raised, go on with the loop."""
    got = []

    async def settle(error: MalformedSessionError) -> None:
        got.append(scene.named(error))

    feed = scene.client.sessions.stream(
        start_time=LONG_AGO, end_time=scene.api.now, on_malformed=settle
    )
    while True:
        try:
            got.append(key(await scene.insist(feed.__anext__)))
        except StopAsyncIteration:
            break
    assert got == scene.sessions


async def backfill(scene: Scene) -> None:
    """Loop over the same sessions, read by windows; whatever is raised, go on with the loop."""
    got = []

    async def settle(error: MalformedSessionError) -> None:
        got.append(scene.named(error))

    first = min(at for _, at in scene.sessions)
    async with scene.client.sessions.backfill(
        start_time=datetime.fromisoformat(first),
        end_time=scene.api.now,
        readers=3,
        on_malformed=settle,
    ) as feed:
        with suppress(StopAsyncIteration):
            while True:
                got.append(key(await scene.insist(feed.__anext__)))
    assert got == scene.sessions


async def follow(scene: Scene) -> None:
    """Follow what goes on happening, with waits between."""
    got = []

    async def settle(error: MalformedSessionError) -> None:
        got.append(scene.named(error))

    async with scene.client.sessions.stream(start_time=LONG_AGO, on_malformed=settle) as feed:
        for pause in (0.0, 3.0, 600.0):
            while len(got) < len(scene.sessions):
                got.append(key(await scene.insist(feed.__anext__)))
            await pass_time(pause)
            scene.api.world.add_session()
        got.append(key(await scene.insist(feed.__anext__)))
    assert got == scene.sessions


async def consumer(scene: Scene) -> None:
    """Have sessions handled; whatever is raised, begin again with the same store."""
    store, ledger, chance = MemoryStore(), MemoryLedger(), Random(1)
    handled: dict[str, list[Key]] = defaultdict(list)
    end = scene.api.now

    async def handle(session: CoachingSession) -> None:
        await pass_time(chance.random())
        handled[session.driver.driver_id].append(key(session))

    async def run() -> None:
        await consume(
            scene.client.sessions.stream(start_time=LONG_AGO, end_time=end),
            handle,
            name="it",
            store=store,
            concurrency=3,
            on_failure="skip",
            ledger=ledger,
            observer=scene.events.append,
            clock=scene.clock,
            random=Random(1),
        )

    await scene.insist(run)
    skipped = [one.session_id async for one in ledger.list()]
    for versions in handled.values():
        assert versions == sorted(versions, key=scene.sessions.index)
    got = [one for versions in handled.values() for one in versions]
    assert sorted(got) == sorted(one for one in scene.sessions if one[0] not in skipped)


async def assignment_list(scene: Scene) -> None:
    """List who coaches whom; whatever is raised, go on with the list."""
    listing, got = scene.client.assignments.list(), []
    while True:
        try:
            got.append(await scene.insist(listing.__anext__))
        except StopAsyncIteration:
            break
    assert [(one.driver.driver_id, one.coach_id) for one in got] == list(
        scene.api.world.assignments.items()
    )


async def assign(scene: Scene) -> None:
    """Give several drivers a coach, each until it is done."""
    world = scene.api.world
    for place, driver in enumerate(world.drivers[:4]):
        coach = world.coaches[place]
        change = await scene.insist(lambda d=driver, c=coach: scene.client.assignments.assign(d, c))  # type: ignore[misc]  # bound now
        assert (change.driver.driver_id, change.coach_id) == (driver, coach)
        assert world.assignments[driver] == coach


async def unassign(scene: Scene) -> None:
    """Take several drivers' coach away, each until it is done."""
    world = scene.api.world
    for driver in world.drivers[:4]:
        change = await scene.insist(lambda d=driver: scene.client.assignments.unassign(d))  # type: ignore[misc]  # bound now
        assert (change.driver.driver_id, change.coach_id) == (driver, None)
        assert driver not in world.assignments


@dataclass(frozen=True)
class Subject:
    """One way into the library."""

    run: Callable[[Scene], Awaitable[None]]
    """Does its work to the end and checks it; what must be mended by hand, it insists on."""
    per_second: int
    """Requests that may leave in any one second."""


SUBJECTS: Mapping[str, Subject] = {
    "stream": Subject(stream, 5),
    "backfill": Subject(backfill, 5),
    "follow": Subject(follow, 5),
    "consumer": Subject(consumer, 5),
    "list": Subject(assignment_list, 10),
    "assign": Subject(assign, 10),
    "unassign": Subject(unassign, 10),
}

"""The subjects of the tests: each way to use the library, and the result it must have."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
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

MOST_ERRORS = 5
"""The most errors after which a call is repeated; no script causes as many."""


@dataclass
class Scenario:
    """A client, its emulator, and the events and errors."""

    api: Emulator
    client: Client
    clock: LeapingClock
    events: list[Event]
    errors: list[CoachStreamError] = field(default_factory=list)
    """Errors that the library raised."""

    async def keep_trying(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call until it succeeds, as a user would after an error."""
        while True:
            try:
                return await call()
            except CoachStreamError as error:
                self.errors.append(error)
                if len(self.errors) > MOST_ERRORS:
                    raise

    @property
    def sessions(self) -> list[Key]:
        """The versions to deliver, in the order of the feed."""
        latest = self.api.world.latest()
        return [one for one in self.api.world.versions() if one in latest]

    def key_of_malformed(self, error: MalformedSessionError) -> Key:
        """Return the key of a version that could not be read."""
        (one,) = (version for version in self.sessions if version[0] == error.session_id)
        return one


async def stream(scenario: Scenario) -> None:
    """Loop over sessions, and continue after errors."""
    delivered = []

    async def settle(error: MalformedSessionError) -> None:
        delivered.append(scenario.key_of_malformed(error))

    feed = scenario.client.sessions.stream(
        start_time=LONG_AGO, end_time=scenario.api.now, on_malformed=settle
    )
    while True:
        try:
            delivered.append(key(await scenario.keep_trying(feed.__anext__)))
        except StopAsyncIteration:
            break
    assert delivered == scenario.sessions


async def backfill(scenario: Scenario) -> None:
    """Loop over the same sessions, read by windows, and continue after errors."""
    delivered = []

    async def settle(error: MalformedSessionError) -> None:
        delivered.append(scenario.key_of_malformed(error))

    first = min(at for _, at in scenario.sessions)
    async with scenario.client.sessions.backfill(
        start_time=datetime.fromisoformat(first),
        end_time=scenario.api.now,
        readers=3,
        on_malformed=settle,
    ) as feed:
        with suppress(StopAsyncIteration):
            while True:
                delivered.append(key(await scenario.keep_trying(feed.__anext__)))
    assert delivered == scenario.sessions


async def follow(scenario: Scenario) -> None:
    """Follow new sessions, with pauses between them."""
    delivered = []

    async def settle(error: MalformedSessionError) -> None:
        delivered.append(scenario.key_of_malformed(error))

    async with scenario.client.sessions.stream(start_time=LONG_AGO, on_malformed=settle) as feed:
        for pause in (0.0, 3.0, 600.0):
            while len(delivered) < len(scenario.sessions):
                delivered.append(key(await scenario.keep_trying(feed.__anext__)))
            await pass_time(pause)
            scenario.api.world.add_session()
        delivered.append(key(await scenario.keep_trying(feed.__anext__)))
    assert delivered == scenario.sessions


async def consumer(scenario: Scenario) -> None:
    """Consume sessions, and start again with the same store after errors."""
    store, ledger, chance = MemoryStore(), MemoryLedger(), Random(1)
    handled: dict[str, list[Key]] = defaultdict(list)
    end = scenario.api.now

    async def handle(session: CoachingSession) -> None:
        await pass_time(chance.random())
        handled[session.driver.driver_id].append(key(session))

    async def run() -> None:
        await consume(
            scenario.client.sessions.stream(start_time=LONG_AGO, end_time=end),
            handle,
            name="it",
            store=store,
            concurrency=3,
            on_failure="skip",
            ledger=ledger,
            observer=scenario.events.append,
            clock=scenario.clock,
            random=Random(1),
        )

    await scenario.keep_trying(run)
    skipped = [one.session_id async for one in ledger.list()]
    for versions in handled.values():
        assert versions == sorted(versions, key=scenario.sessions.index)
    delivered = [one for versions in handled.values() for one in versions]
    assert sorted(delivered) == sorted(one for one in scenario.sessions if one[0] not in skipped)


async def assignment_list(scenario: Scenario) -> None:
    """List the assignments, and continue after errors."""
    listing, delivered = scenario.client.assignments.list(), []
    while True:
        try:
            delivered.append(await scenario.keep_trying(listing.__anext__))
        except StopAsyncIteration:
            break
    assert [(one.driver.driver_id, one.coach_id) for one in delivered] == list(
        scenario.api.world.assignments.items()
    )


async def assign(scenario: Scenario) -> None:
    """Assign a coach to several drivers, each until it succeeds."""
    world = scenario.api.world
    for index, driver in enumerate(world.drivers[:4]):
        coach = world.coaches[index]
        change = await scenario.keep_trying(
            partial(scenario.client.assignments.assign, driver, coach)
        )
        assert (change.driver.driver_id, change.coach_id) == (driver, coach)
        assert world.assignments[driver] == coach


async def unassign(scenario: Scenario) -> None:
    """Unassign the coach of several drivers, each until it succeeds."""
    world = scenario.api.world
    for driver in world.drivers[:4]:
        change = await scenario.keep_trying(partial(scenario.client.assignments.unassign, driver))
        assert (change.driver.driver_id, change.coach_id) == (driver, None)
        assert driver not in world.assignments


@dataclass(frozen=True)
class Subject:
    """One way to use the library."""

    run: Callable[[Scenario], Awaitable[None]]
    """Does its work, repeats calls that raise, and checks the result."""
    per_second: int
    """Requests allowed in any one second."""


SUBJECTS: Mapping[str, Subject] = {
    "stream": Subject(stream, 5),
    "backfill": Subject(backfill, 5),
    "follow": Subject(follow, 5),
    "consumer": Subject(consumer, 5),
    "list": Subject(assignment_list, 10),
    "assign": Subject(assign, 10),
    "unassign": Subject(unassign, 10),
}

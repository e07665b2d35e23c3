"""Each trouble alone, and in ordered pairs, for each way into the library, on real sockets.

By default a few partners are drawn for each trouble; ``COACHSTREAM_CHAOS=all`` tries all pairs.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import pytest

from coachstream import Client, Event
from coachstream.emulator import Emulator, World
from coachstream.observers.logging import log_event
from coachstream.telemetry import RetryScheduled
from tests.chaos import bodies, connections, messages
from tests.chaos.gate import Gate, Trouble
from tests.chaos.subjects import SUBJECTS, Scene
from tests.support.emulated import TOKEN, most_in_a_second
from tests.support.secrecy import everything_shown, everything_told
from tests.support.virtual_time import LeapingClock, pass_time, virtual

TROUBLES: Sequence[Trouble] = tuple(
    {
        one.name: one for module in (connections, messages, bodies) for one in module.TROUBLES
    }.values()
)
ALL = os.environ.get("COACHSTREAM_CHAOS") == "all"
BEGINNINGS = [
    (subject, trouble)
    for trouble in TROUBLES
    for subject in SUBJECTS
    if ALL or subject in Random(trouble.name).sample(sorted(SUBJECTS), 3)
]
"""Who begins with what, where two things go wrong; without all, three subjects for each trouble."""
PARTNERS = 1
"""How many pairs each of these begins, unless all are tried."""


def partners(first: Trouble, subject: str) -> Sequence[Trouble]:
    if ALL:
        return TROUBLES
    return Random(f"{first} {subject}").sample(TROUBLES, PARTNERS)


@asynccontextmanager
async def scene_at(gate: Gate) -> AsyncIterator[Scene]:
    """Yield a client of the gate."""
    events: list[Event] = []

    def observe(event: Event) -> None:
        events.append(event)
        log_event(event)

    arguments: dict[str, Any] = {"clock": gate.clock, "observer": observe, "random": Random(1)}
    arguments |= {"base_url": gate.url, "max_page_bytes": bodies.MOST}
    http = None
    if gate.reconnects:
        tls: Any = gate.certificates.client if gate.certificates else True
        connector = aiohttp.TCPConnector(
            resolver=gate.resolver, use_dns_cache=False, force_close=True, ssl=tls
        )
        http = aiohttp.ClientSession(connector=connector)
    try:
        async with Client(TOKEN, http=http, **arguments) as client:
            yield Scene(gate.api, client, gate.clock, events)
    finally:
        if http is not None:
            await http.close()


@virtual
async def live_through(name: str, troubles: Sequence[Trouble]) -> None:
    """Let one subject do its work while this goes wrong, and check all that was promised."""
    subject, clock = SUBJECTS[name], LeapingClock()
    loop, unhandled = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    tasks = asyncio.all_tasks()
    world = World(2, drivers=8, coaches=5, sessions=14, changes_per_hour=0)
    async with (
        Emulator(world, page_size=2, token=TOKEN) as api,
        Gate(api, [None, *troubles], clock) as gate,
    ):
        async with asyncio.timeout(10 * 86_400), scene_at(gate) as scene:
            await subject.run(scene)
        await pass_time(5)
        assert gate.left_open == 0
        assert not gate.script, "not all of it happened"
        assert gate.trap.caught == []
        at = [moment for moment, _ in gate.requests]
        assert most_in_a_second(at) <= subject.per_second
    await pass_time(5)
    assert asyncio.all_tasks() <= tasks
    assert unhandled == []
    retried = [type(event.error) for event in scene.events if isinstance(event, RetryScheduled)]
    made = [trouble.error for trouble in troubles if trouble.error]
    awaited = [kind for kind in made if kind.transient]
    for trouble in troubles:
        if trouble.may_cost and len(retried) > len(awaited):
            retried.remove(trouble.may_cost)
    # Several readers meet troubles at once, and not always the first one first.
    assert Counter(retried) == Counter(awaited)
    assert Counter(map(type, scene.raised)) == Counter(kind for kind in made if not kind.transient)
    assert all(str(error) for error in scene.raised)
    shown = [everything_told(scene.events), *map(everything_shown, scene.raised)]
    assert TOKEN not in "\n".join(shown)


@pytest.mark.parametrize("trouble", TROUBLES, ids=repr)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_one_trouble_is_lived_through(subject, trouble, caplog):
    caplog.set_level(logging.DEBUG)
    live_through(subject, [trouble])
    assert TOKEN not in caplog.text


@pytest.mark.timeout(600 if ALL else 60)
@pytest.mark.parametrize(("subject", "trouble"), BEGINNINGS, ids=str)
def test_one_trouble_after_another_is_lived_through(subject, trouble):
    for second in partners(trouble, subject):
        try:
            live_through(subject, [trouble, second])
        except BaseException as error:
            error.add_note(f"{trouble!r}, then {second!r}")
            raise


def test_the_table_holds_what_it_should():
    assert len(TROUBLES) > 80
    assert {one.stage for one in TROUBLES} == {"answer", "accept", "resolve", "tls"}

"""Each trouble for each way to use the library, alone or followed by another, on real sockets.

By default three ways per trouble meet a second one, which is drawn; ``COACHSTREAM_CHAOS=all`` runs
each trouble alone, and all ordered pairs.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import pytest

from coachstream import Client, Event, UndecodableError
from coachstream.emulator import Emulator, World
from coachstream.observers.logging import log_event
from coachstream.telemetry import RetryScheduled
from tests.chaos import bodies, connections, messages
from tests.chaos.proxy import Proxy, Trouble
from tests.chaos.subjects import SUBJECTS, Scenario
from tests.support.crash_reports import everything_in_events, everything_shown
from tests.support.emulated import TOKEN, most_in_a_second
from tests.support.virtual_time import LeapingClock, pass_time, virtual

TROUBLES: Sequence[Trouble] = tuple(
    {
        one.name: one for module in (connections, messages, bodies) for one in module.TROUBLES
    }.values()
)
ALL = os.environ.get("COACHSTREAM_CHAOS") == "all"


def scripts(subject: str, trouble: Trouble) -> Iterator[Sequence[Trouble]]:
    """Yield what happens to a subject, beginning with this trouble."""
    if ALL:
        yield [trouble]
        yield from ([trouble, second] for second in TROUBLES)
    elif subject in Random(trouble.name).sample(sorted(SUBJECTS), 3):
        yield [trouble, Random(f"{trouble} {subject}").choice(TROUBLES)]
    else:
        yield [trouble]


@asynccontextmanager
async def scenario_at(proxy: Proxy) -> AsyncIterator[Scenario]:
    """Yield a client of the proxy."""
    events: list[Event] = []

    def observe(event: Event) -> None:
        events.append(event)
        log_event(event)

    arguments: dict[str, Any] = {"clock": proxy.clock, "observer": observe, "random": Random(1)}
    arguments |= {"base_url": proxy.url, "max_page_bytes": bodies.MAX_PAGE_BYTES}
    http = None
    if proxy.reconnects:
        tls: Any = proxy.certificates.client if proxy.certificates else True
        connector = aiohttp.TCPConnector(
            resolver=proxy.resolver, use_dns_cache=False, force_close=True, ssl=tls
        )
        http = aiohttp.ClientSession(connector=connector)
    try:
        async with Client(TOKEN, http=http, **arguments) as client:
            yield Scenario(proxy.api, client, proxy.clock, events)
    finally:
        if http is not None:
            await http.close()


@virtual
async def run_with(name: str, troubles: Sequence[Trouble]) -> None:
    """Run a subject with these troubles, and check all promises."""
    subject, clock = SUBJECTS[name], LeapingClock()
    loop, unhandled = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    tasks = asyncio.all_tasks()
    world = World(2, drivers=8, coaches=5, sessions=14, changes_per_hour=0)
    async with (
        Emulator(world, page_size=2, token=TOKEN) as api,
        Proxy(api, [None, *troubles], clock) as proxy,
    ):
        async with asyncio.timeout(10 * 86_400), scenario_at(proxy) as scenario:
            await subject.run(scenario)
        await pass_time(5)
        assert proxy.left_open == 0
        assert not proxy.script, "not all troubles happened"
        assert proxy.redirect_target.received == []
        at = [moment for moment, _ in proxy.requests]
        assert most_in_a_second(at) <= subject.per_second
    await pass_time(5)
    assert asyncio.all_tasks() <= tasks
    assert unhandled == []
    retried = [type(event.error) for event in scenario.events if isinstance(event, RetryScheduled)]
    expected = [trouble.error for trouble in troubles if trouble.error]
    retried_expected = [kind for kind in expected if kind.transient]
    for trouble in troubles:
        if trouble.next_error and len(retried) > len(retried_expected):
            retried.remove(trouble.next_error)
    # With several readers, the order of the errors is not fixed.
    happened = Counter(retried), Counter(map(type, scenario.errors))
    may_happen = Counter(retried_expected), Counter(k for k in expected if not k.transient)
    if name in {"assign", "unassign"} and UndecodableError in expected:
        # A change that was made is not made again, and the list, which could deny it, may fail.
        after = Counter(trouble.next_error for trouble in troubles)
        assert happened[0] <= may_happen[0] + after
        assert happened[1] <= may_happen[1]
    else:
        assert happened == may_happen
    assert all(str(error) for error in scenario.errors)
    shown = [everything_in_events(scenario.events), *map(everything_shown, scenario.errors)]
    assert TOKEN not in "\n".join(shown)


@pytest.mark.timeout(600 if ALL else 60)
@pytest.mark.parametrize("trouble", TROUBLES, ids=repr)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_survives_trouble(subject, trouble, caplog):
    caplog.set_level(logging.DEBUG)
    for script in scripts(subject, trouble):
        try:
            run_with(subject, script)
        except BaseException as error:
            error.add_note(f"{script}")
            raise
    assert TOKEN not in caplog.text


def test_the_list_covers_every_stage():
    assert len(TROUBLES) > 80
    assert {one.stage for one in TROUBLES} == {"response", "accept", "resolve", "tls"}

"""Promises 4 and 5, with stores, ledgers, providers and callbacks that hang: reported, and left.

Each of them hangs for ever, for forty seconds, at every tenth call, or in a thread that nothing can
cancel. Whatever hangs, an event and the stream's health say so, and cancelling and closing end.
"""

import asyncio
import sys
import threading
from contextlib import suppress

import pytest

from coachstream import Client, MemoryLedger, RetryPolicy, StreamState, consume
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import World, malformed_session
from coachstream.tasks import in_thread
from coachstream.telemetry import (
    CallOverdue,
    HandlersStalled,
    LoadFailed,
    RetryScheduled,
    SaveFailed,
)
from tests.support.emulated import LONG_AGO, TOKEN, feed
from tests.support.virtual_time import LoopClock, VirtualLoop, pass_time, virtual

NEVER = 1e9
REPORTS = CallOverdue | HandlersStalled | LoadFailed | RetryScheduled | SaveFailed
SAID = {StreamState.STALLED, StreamState.RETRYING}
BOUND = 60
"""Seconds within which cancelling or closing must end: drain, clean-up and the last save."""

HANGS = ["for ever", "forty seconds", "every tenth call", "in a thread"]
GIFTS = ["load", "save", "add", "token", "handler", "on_malformed"]
NO_HANG = {
    ("load", "every tenth call"): "a checkpoint is loaded once",
    ("token", "every tenth call"): "a token that works is asked for once",
    ("handler", "forty seconds"): "a handler may take a minute",
}
WAYS = [(gift, how) for gift in GIFTS for how in HANGS if (gift, how) not in NO_HANG]


class Hang:
    """Hangs one of the gifts, in one way."""

    def __init__(self, gift, how):
        self.gift = gift
        self.how = how
        self.calls = 0
        self.hung = 0
        self.released = threading.Event()

    async def __call__(self, gift):
        if gift != self.gift:
            return
        self.calls += 1
        if (self.how == "every tenth call" and self.calls % 10) or self.released.is_set():
            return
        self.hung += 1
        if self.how == "forty seconds":
            self.released.set()
            await pass_time(40)
        elif self.how == "in a thread":
            await in_thread(self.released.wait)
        else:
            await pass_time(NEVER)


class Store(MemoryStore):
    def __init__(self, hang):
        super().__init__()
        self.hang = hang

    async def load(self, name):
        await self.hang("load")
        return await super().load(name)

    async def save(self, name, position, *, after):
        await self.hang("save")
        return await super().save(name, position, after=after)


class Ledger(MemoryLedger):
    def __init__(self, hang):
        super().__init__()
        self.hang = hang

    async def add(self, failed):
        await self.hang("add")
        await super().add(failed)


def provider(hang):
    async def token():
        await hang("token")
        return TOKEN

    return token


def consuming(client, hang, observe):
    async def handler(session):
        await hang("handler")
        if hang.gift == "add":
            raise ZeroDivisionError

    stream = client.sessions.stream(start_time=LONG_AGO)
    running = consume(
        stream,
        handler,
        name="n",
        store=Store(hang),
        on_failure="park",
        ledger=Ledger(hang),
        retry=RetryPolicy(attempts=1),
        failure_ratio=1,
        observer=observe,
        clock=LoopClock(),
    )
    return stream, running


async def looping(stream):
    async for _ in stream:
        pass


def begin(client, hang, observe):
    if hang.gift != "on_malformed":
        return consuming(client, hang, observe)

    async def on_malformed(_):
        await hang("on_malformed")

    stream = client.sessions.stream(start_time=LONG_AGO, on_malformed=on_malformed)
    return stream, looping(stream)


def malformed(hang):
    return [malformed_session(id=7)] * 20 if hang.gift == "on_malformed" else []


async def until_it_hangs(api, hang):
    """Let time pass, and the world change, until something hangs."""
    for _ in range(200):
        if hang.hung:
            return
        api.world.add_session()
        await pass_time(5)
    raise AssertionError("nothing has hung")


@pytest.mark.parametrize(("gift", "how"), WAYS)
def test_whatever_hangs_is_reported_and_can_be_left(gift, how, monkeypatch):
    # Nothing here waits for a thread that will end.
    monkeypatch.setattr(sys.modules[VirtualLoop.__module__], "_THREAD_GRACE", 0.001)
    hang = Hang(gift, how)
    try:
        _reported_and_left(hang)
    finally:
        hang.released.set()


@virtual
async def _reported_and_left(hang):
    world = World(sessions=30, changes_per_hour=0)
    async with feed(world, page_size=5, faults=malformed(hang)) as (api, _, events):
        loop, states = asyncio.get_running_loop(), set()

        def observe(event):
            events.append(event)
            states.add(stream.health.state)

        client = Client(
            provider(hang),
            base_url=api.url,
            clock=LoopClock(),
            observer=observe,
            timeout=20,
        )
        stream, running = begin(client, hang, observe)
        task = asyncio.create_task(running)
        await until_it_hangs(api, hang)
        await pass_time(120)
        assert any(isinstance(event, REPORTS) for event in events)
        assert SAID & states
        assert not task.done(), task
        if hang.how == "forty seconds":
            await pass_time(120)
            assert stream.health.state in {StreamState.IDLE, StreamState.FOLLOWING}
        began = loop.time()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert loop.time() - began <= BOUND
        began = loop.time()
        with suppress(TimeoutError):
            await client.aclose()
        assert loop.time() - began <= BOUND
        hang.released.set()

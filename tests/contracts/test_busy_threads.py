"""Stores and ledgers need none of the threads that a web framework's blocking endpoints occupy."""

import asyncio
import threading

import anyio
import anyio.to_thread
import pytest

from coachstream import Client, FileLedger, RateLimits, RetryPolicy, consume
from coachstream.emulator import Emulator, World
from tests.support.emulated import LONG_AGO, TOKEN

CALLS = 80
SESSIONS = 30


@pytest.fixture
async def busy():
    """Eighty blocking calls at once in the threads of anyio, and eighty in those of asyncio."""
    go_on = threading.Event()
    loop = asyncio.get_running_loop()
    calls = [
        asyncio.ensure_future(call)
        for _ in range(CALLS)
        for call in (
            anyio.to_thread.run_sync(go_on.wait),
            loop.run_in_executor(None, go_on.wait),
        )
    ]
    limiter = anyio.to_thread.current_default_thread_limiter()
    while limiter.available_tokens:
        await anyio.lowlevel.checkpoint()
    yield limiter
    go_on.set()
    await asyncio.gather(*calls)


async def test_saves_go_on(storage, tmp_path, busy):
    ledger = FileLedger(tmp_path / "parked.jsonl")

    async def fail(session) -> None:
        raise ZeroDivisionError

    async with (
        Emulator(World(sessions=SESSIONS, changes_per_hour=0), sessions_per_second=None) as api,
        Client(TOKEN, base_url=api.url, rate_limits=RateLimits(sessions=None)) as client,
        storage.store() as store,
        asyncio.timeout(20),
    ):
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=api.now)
        report = await consume(
            stream,
            fail,
            name="it",
            store=store,
            ledger=ledger,
            on_failure="park",
            failure_ratio=1.0,
            retry=RetryPolicy(attempts=1),
        )
        found = await store.load("it")
        parked = [one async for one in ledger.list()]
    assert busy.available_tokens == 0
    assert found.position == report.position
    assert len(parked) == report.given_up == SESSIONS

"""Pages of any other origin: read on from the saved position, which never moves backwards."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coachstream import InvalidArgumentError, Page, RetryPolicy, StreamState, consume
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import World
from coachstream.models import CoachingSession, Driver
from coachstream.telemetry import SaveFailed
from tests.progress.stores import TroubledStore
from tests.support.emulated import LONG_AGO, feed
from tests.support.virtual_time import LoopClock, pass_time, virtual

START = datetime(2026, 1, 1, tzinfo=UTC)


def session(number):
    return CoachingSession(
        id=f"s{number}",
        updated_at_time=START + timedelta(seconds=number),
        driver=Driver(driver_id="1"),
        session_status="upcoming",
        coaching_type="unknown",
    )


class Archive:
    """Sessions in pages of ten, behind cursors that are numbers."""

    def __init__(self, count):
        self.sessions = [session(number) for number in range(count)]
        self.asked = []
        self.open = 0

    async def after(self, position):
        self.asked.append(position.cursor)
        self.open += 1
        try:
            for start in range(int(position.cursor or 0), len(self.sessions), 10):
                end = start + 10
                part = tuple(self.sessions[start:end])
                yield Page(entries=part, end_cursor=str(end), has_next_page=True, size=100)
                await pass_time(1)
        finally:
            self.open -= 1


class Cursors(MemoryStore):
    """A store that remembers which cursors were saved."""

    def __init__(self):
        super().__init__()
        self.cursors = []

    async def save(self, name, position, *, after):
        self.cursors.append(int(position.cursor or 0))
        return await super().save(name, position, after=after)


@virtual
async def test_a_later_run_reads_on_from_the_saved_position_which_never_moves_backwards():
    archive, store, handled = Archive(95), Cursors(), []

    async def handle(one):
        handled.append(one.id)

    for _ in range(4):
        with suppress(TimeoutError):
            async with asyncio.timeout(3.5):
                await consume(archive.after, handle, name="x", store=store, clock=LoopClock())
        assert archive.open == 0, "the pages were closed"
    assert archive.asked == [None, "40", "80", "100"]
    assert store.cursors == sorted(store.cursors)
    assert sorted(set(handled)) == sorted(one.id for one in archive.sessions)
    assert len(handled) == 95


async def test_an_iterable_which_cannot_be_told_the_position_is_refused():
    async def handle(_):
        pass

    async def pages():
        yield Page(entries=(), end_cursor="c10", has_next_page=False, size=1)

    wrong: Any
    for wrong in (pages(), [], 7):
        with pytest.raises(InvalidArgumentError, match="^stream: .* function of a Position"):
            await consume(wrong, handle, name="x", store={})


@pytest.mark.parametrize("wrong", [None, [], 7])
async def test_a_function_that_returns_no_pages_is_refused(wrong):
    async def handle(_):
        pass

    with pytest.raises(InvalidArgumentError, match="^stream: the function returns"):
        await consume(lambda _: wrong, handle, name="x", store={})


@virtual
async def test_a_page_without_a_cursor_leaves_the_position_at_the_last_one():
    async def handle(_):
        pass

    async def pages_after(_):
        for number, cursor in enumerate(("c0", "")):
            yield Page(entries=(session(number),), end_cursor=cursor, has_next_page=True, size=1)

    report = await consume(pages_after, handle, name="x", store={}, clock=LoopClock())
    assert report.position.cursor == "c0"
    assert report.position.settled == (session(1).key,)


@virtual
async def test_own_pages_are_closed_when_consume_returns():
    closed = []

    async def handle(_):
        raise KeyError("mine")

    async def pages_after(_):
        try:
            yield Page(entries=(session(0), session(1)), end_cursor="c", has_next_page=True, size=1)
        finally:
            await pass_time(1)
            closed.append(True)

    policy = RetryPolicy(attempts=1)
    with pytest.raises(KeyError, match="mine"):  # while reading pauses, and asks for no page
        await consume(
            pages_after,
            handle,
            name="x",
            store={},
            retry=policy,
            max_unsettled=1,
            clock=LoopClock(),
        )
    assert closed == [True]


@virtual
async def test_own_pages_are_read_no_further_while_the_store_is_away():
    archive, store, handled, events = Archive(1000), TroubledStore(), [], []

    async def handle(one):
        handled.append(one.id)
        if len(handled) == 20:
            store.error = OSError("away")

    running = asyncio.create_task(
        consume(
            archive.after, handle, name="x", store=store, clock=LoopClock(), observer=events.append
        )
    )
    await pass_time(3600)
    assert any(isinstance(event, SaveFailed) for event in events)
    assert len(handled) < 60
    store.error = None
    assert (await running).handled == 1000


@virtual
async def test_how_a_consumer_is_shows_in_the_health_of_its_stream():
    async def handle(_):
        raise KeyError("mine")

    async with feed(World(sessions=3, changes_per_hour=0)) as (_, client, _):
        stream, store = client.sessions.stream(start_time=LONG_AGO), TroubledStore()
        store.error = OSError("away")
        running = asyncio.create_task(consume(stream, handle, name="x", store=store))
        await pass_time(60)
        health = stream.health
        assert health.state == StreamState.RETRYING
        assert "StoreError: MemoryStore(): loading 'x' failed (away)." in (health.last_error or "")
        assert health.state_age > 30
        store.error = None
        with pytest.raises(KeyError, match="mine"):
            await running
        assert stream.health.state == StreamState.STOPPED
        assert (stream.health.last_error or "").startswith("KeyError in test_own_pages.py:")

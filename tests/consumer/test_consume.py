"""Callbacks: many at once, a driver's in order, and no checkpoint that lies."""

import asyncio
import contextvars
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest

from coachstream import (
    ClosedError,
    ConnectError,
    InvalidArgumentError,
    MalformedSessionError,
    MemoryLedger,
    OnFailure,
    Page,
    Position,
    QueryMismatchError,
    Retry,
    RetryPolicy,
    StaleCheckpointError,
    StoreError,
    TooManyFailuresError,
)
from coachstream.checkpoints import MappingStore, MemoryStore
from coachstream.emulator import World, malformed_session, serve
from coachstream.models import CoachingSession
from coachstream.telemetry import (
    CheckpointSaved,
    ConsumerStopped,
    HandlerFailed,
    LedgerFailed,
    ReadingPaused,
    SaveFailed,
    SessionGivenUp,
)
from tests.consumer.running import pages, run, session
from tests.progress.stores import TroubledStore
from tests.support.emulated import LONG_AGO, feed, key, keys
from tests.support.virtual_time import LoopClock, pass_time, virtual


class Handled(list[CoachingSession]):
    """A handler that takes some time over each session, and remembers them."""

    def __init__(self, seconds=0.1):
        super().__init__()
        self._seconds = seconds
        self.running = Counter()
        self.most = 0

    async def __call__(self, session):
        driver = session.driver.driver_id
        assert not self.running[driver], "two of one driver at once"
        self.running[driver] += 1
        self.most = max(self.most, self.running.total())
        try:
            await pass_time(self._seconds)
        finally:
            self.running[driver] -= 1
        self.append(session)


# Handling


@virtual
async def test_every_session_is_handled_and_a_drivers_in_order():
    sessions = [session(n, driver=str(n % 7)) for n in range(100)]
    handled = Handled()
    report = await run(pages(sessions), handled, concurrency=5)
    assert sorted(one.id for one in handled) == sorted(one.id for one in sessions)
    by_driver = defaultdict(list)
    for one in handled:
        by_driver[one.driver.driver_id].append(one.updated_at_time)
    assert all(times == sorted(times) for times in by_driver.values())
    assert handled.most == 5
    assert (report.handled, report.given_up, report.unsettled) == (100, 0, 0)
    assert report.position.cursor == "c100"


@virtual
async def test_another_key_makes_other_lanes():
    sessions = [session(n, driver=str(n)) for n in range(20)]
    order = []

    async def handle(one):
        await pass_time(1 / (1 + len(order)))
        order.append(one.id)

    await run(pages(sessions), handle, key=lambda _: "all in one lane")
    assert order == [one.id for one in sessions]


@virtual
async def test_a_slow_driver_holds_up_nobody_else():
    sessions = [session(0, driver="slow"), *(session(n, driver=str(n)) for n in range(1, 50))]
    done = []

    async def handle(one):
        await pass_time(1000 if one.driver.driver_id == "slow" else 1)
        done.append(one.id)

    await run(pages(sessions), handle, concurrency=2)
    assert done[-1] == "s0"


@virtual
async def test_the_callers_context_is_the_handlers():
    tenant = contextvars.ContextVar("tenant")
    seen = []

    async def handle(one):
        seen.append(tenant.get())

    tenant.set("acme")
    await run(pages([session(1)]), handle)
    assert seen == ["acme"]


@virtual
async def test_reading_pauses_when_too_much_waits():
    read = []

    async def watched():
        async for page in pages([session(n, driver=str(n)) for n in range(200)]):
            read.append(len(page.entries))
            yield page

    most = 0

    async def handle(one):
        nonlocal most
        await pass_time(1)
        handled.append(one)
        most = max(most, sum(read) - len(handled))

    handled, events = [], []
    await run(watched(), handle, max_unsettled=30, observer=events.append, concurrency=4)
    assert len(handled) == 200
    assert most <= 30 + 10
    assert any(isinstance(event, ReadingPaused) for event in events)


@virtual
async def test_reading_pauses_when_too_many_bytes_wait():
    events = []
    sessions = [session(n, driver=str(n)) for n in range(50)]
    await run(pages(sessions), Handled(), max_unsettled_bytes=150, observer=events.append)
    paused = [event for event in events if isinstance(event, ReadingPaused)]
    assert max(event.size for event in paused) == 200


@virtual
async def test_one_stuck_session_does_not_let_settled_keys_pile_up():
    released = asyncio.Event()
    sessions = [session(n, driver=str(n)) for n in range(500)]

    async def handle(one):
        if one.id == "s0":
            await released.wait()

    store = MemoryStore()
    running = asyncio.ensure_future(run(pages(sessions), handle, max_unsettled=50, store=store))
    await pass_time(100)
    kept = await store.load("test")
    assert kept is not None
    assert kept.position.cursor is None
    assert 40 <= len(kept.position.settled) <= 60
    released.set()
    assert (await running).handled == 500


# Failing


@virtual
async def test_a_failing_handler_is_tried_again_and_its_driver_waits():
    sessions = [session(n) for n in range(3)]
    tries = Counter()
    done = []

    async def handle(one):
        tries[one.id] += 1
        if one.id == "s0" and tries["s0"] < 4:
            raise ConnectError("database away")
        done.append(one.id)

    events = []
    await run(pages(sessions), handle, observer=events.append)
    assert done == ["s0", "s1", "s2"]
    assert tries == {"s0": 4, "s1": 1, "s2": 1}
    assert [e.attempt for e in events if isinstance(e, HandlerFailed)] == [1, 2, 3]


@virtual
async def test_while_one_waits_for_its_next_try_others_are_handled():
    done = []

    async def handle(one):
        if one.driver.driver_id == "bad" and not done:
            raise Retry(after=timedelta(hours=1))
        done.append(one.driver.driver_id)

    sessions = [session(0, driver="bad"), *(session(n, driver=str(n)) for n in range(1, 9))]
    await run(pages(sessions), handle, concurrency=1)
    assert done == [*"12345678", "bad"]
    assert LoopClock().monotonic() >= 3600


@virtual
async def test_the_handlers_own_exception_stops_the_consumer_as_itself():
    sessions = [session(n, driver=str(n)) for n in range(30)]
    store, ledger = MemoryStore(), MemoryLedger()

    async def handle(one):
        if one.id == "s17":
            raise KeyError("mine")

    policy = RetryPolicy(attempts=2)
    with pytest.raises(KeyError, match="mine") as caught:
        await run(pages(sessions), handle, store=store, retry=policy, ledger=ledger)
    assert caught.value.__cause__ is None
    kept = await store.load("test")
    assert kept is not None
    assert kept.position.cursor == "c10"
    assert session(17).key not in kept.position.settled
    assert session(16).key in kept.position.settled
    assert [one async for one in ledger.list()] == []


@pytest.mark.parametrize("on_failure", ["skip", OnFailure.PARK])
def test_a_session_may_be_given_up_and_is_kept(on_failure):
    @virtual
    async def test():
        ledger, events = MemoryLedger(), []

        async def handle(one):
            if one.id in {"s3", "s5"}:
                raise ZeroDivisionError(one.id)

        report = await run(
            pages([session(n) for n in range(30)]),
            handle,
            on_failure=on_failure,
            ledger=ledger,
            retry=RetryPolicy(attempts=3),
            observer=events.append,
        )
        assert (report.handled, report.given_up, report.unsettled) == (28, 2, 0)
        assert report.position.cursor == "c30"
        kept = [one async for one in ledger.list()]
        assert [one.session_id for one in kept] == ["s3", "s5"]
        assert {one.attempts for one in kept} == {3}
        assert kept[0].error == "ZeroDivisionError: s3"
        assert kept[0].outcome == {"skip": "skipped", "park": "parked"}[on_failure]
        assert len([e for e in events if isinstance(e, SessionGivenUp)]) == 2

    test()


@pytest.mark.parametrize(
    ("error", "retry"),
    [
        (PermissionError("read-only"), RetryPolicy(attempts=1)),  # time does not mend it
        (OSError("disk full"), RetryPolicy(attempts=1, give_up_after=60)),
    ],
)
def test_what_cannot_be_parked_stops_the_consumer(error, retry):
    class Full(MemoryLedger):
        async def add(self, failed):
            raise error

    async def handle(one):
        raise ZeroDivisionError

    @virtual
    async def test():
        store = MemoryStore()
        with pytest.raises(type(error), match=str(error)):
            await run(
                pages([session(1)]),
                handle,
                store=store,
                on_failure="park",
                ledger=Full(),
                retry=retry,
            )
        kept = await store.load("test")
        assert kept is None or (kept.position.cursor, kept.position.settled) == (None, ())

    test()


@virtual
async def test_a_ledger_that_is_away_is_asked_again_and_nothing_is_settled_without_it():
    class Away(MemoryLedger):
        away = True

        async def add(self, failed):
            if self.away:
                raise OSError("away")
            await super().add(failed)

    async def handle(one):
        if one.id == sessions[0].id:
            raise ZeroDivisionError

    async with feed(World(sessions=10, changes_per_hour=0)) as (api, client, _):
        sessions = [
            one async for one in client.sessions.stream(start_time=LONG_AGO, end_time=api.now)
        ]
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=api.now)
        ledger, store, events = Away(), MemoryStore(), []
        running = asyncio.ensure_future(
            run(
                stream,
                handle,
                store=store,
                on_failure="park",
                ledger=ledger,
                retry=RetryPolicy(attempts=1),
                observer=events.append,
            )
        )
        await pass_time(3600)
        assert stream.health.failures > 50
        assert "away" in (stream.health.last_error or "")
        failed = [event for event in events if isinstance(event, LedgerFailed)]
        assert [event.attempt for event in failed] == [*range(1, len(failed) + 1)]
        kept = await store.load("test")
        assert kept is not None
        assert sessions[0].key not in kept.position.settled
        ledger.away = False
        report = await running
        assert (report.handled, report.given_up) == (9, 1)
        assert stream.health.failures == 0


@virtual
async def test_a_run_of_failures_stops_instead_of_emptying_the_feed():
    ledger = MemoryLedger()

    async def handle(one):
        if int(one.id[1:]) >= 100:
            raise ZeroDivisionError(one.id)

    with pytest.raises(TooManyFailuresError) as caught:
        await run(
            pages([session(n) for n in range(1000)]),
            handle,
            on_failure="park",
            ledger=ledger,
            retry=RetryPolicy(attempts=1),
        )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert len([one async for one in ledger.list()]) == 25


@virtual
async def test_a_cancellation_that_a_handler_lets_out_is_a_failure_and_no_silence():
    async def handle(one):
        inner = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(inner.cancel)
        await inner

    with pytest.raises(RuntimeError, match="CancelledError"):
        await run(pages([session(1)]), handle, retry=RetryPolicy(attempts=1))


@virtual
async def test_a_source_that_fails_stops_the_consumer_after_what_runs():
    async def broken():
        async for page in pages([session(n) for n in range(5)]):
            yield page
        raise ConnectError("gone")

    handled = Handled()
    store = MemoryStore()
    with pytest.raises(ConnectError, match="gone"):
        await run(broken(), handled, store=store)
    kept = await store.load("test")
    assert kept is not None
    assert kept.position.settled == tuple(one.key for one in handled)


@virtual
async def test_a_malformed_session_goes_the_way_of_failures():
    world = World(sessions=9, changes_per_hour=0)
    faults = [malformed_session(), serve(), malformed_session()]
    async with feed(world, faults=faults, page_size=3) as (api, client, _):
        ledger = MemoryLedger()
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=api.now + timedelta(days=1))
        report = await run(stream, AsyncMock(), on_failure="park", ledger=ledger)
        assert (report.handled, report.given_up) == (7, 2)
        assert all("yesterday" in one.raw for one in [one async for one in ledger.list()])
    async with feed(world, faults=faults, page_size=3) as (_, client, _):
        with pytest.raises(MalformedSessionError):
            await run(client.sessions.stream(start_time=LONG_AGO), AsyncMock())


# Stopping


@virtual
async def test_closing_the_stream_drains_and_returns():
    async with feed(World(sessions=100, changes_per_hour=0)) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        handled, store = Handled(seconds=20), MemoryStore()
        running = asyncio.ensure_future(run(stream, handled, store=store, concurrency=4))
        await pass_time(50)
        await stream.aclose()
        report = await running
        assert report.handled == len(handled) == 12
        assert report.unsettled == 88
        kept = await store.load("test")
        assert kept is not None
        assert set(kept.position.settled) == {one.key for one in handled}
        assert handled.running.total() == 0


@virtual
async def test_a_handler_that_does_not_end_is_cancelled_after_the_drain():
    async with feed(World(sessions=3, changes_per_hour=0)) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        running = asyncio.ensure_future(run(stream, Handled(seconds=1e6), drain_timeout=7))
        await pass_time(50)
        await stream.aclose()
        begun = LoopClock().monotonic()
        report = await running
        assert 7 <= LoopClock().monotonic() - begun < 8
        assert (report.handled, report.unsettled) == (0, 3)


@virtual
async def test_cancelled_it_stops_at_once_and_saves_what_is_settled():
    async with feed(World(sessions=100, changes_per_hour=0)) as (_, client, events):
        handled, store = Handled(seconds=1), MemoryStore()
        stream = client.sessions.stream(start_time=LONG_AGO)
        running = asyncio.ensure_future(
            run(stream, handled, store=store, concurrency=4, observer=events.append)
        )
        await pass_time(5.5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        kept = await store.load("test")
        assert kept is not None
        assert set(kept.position.settled) == {one.key for one in handled}
        (stopped,) = [event for event in events if isinstance(event, ConsumerStopped)]
        assert (stopped.handled, stopped.unsettled) == (len(handled), 100 - len(handled))
    assert len(asyncio.all_tasks()) == 1


# Found by trying to break it


@pytest.mark.parametrize("how", ["raises", "returns"])
def test_a_handler_that_hides_its_cancellation_settles_nothing_more(how):
    @virtual
    async def test():
        done = []

        async def handle(one):
            try:
                await pass_time(10)
            except asyncio.CancelledError:
                if how == "raises":
                    raise OSError("connection lost in clean-up") from None
            done.append(one.id)

        store, policy = MemoryStore(), RetryPolicy(attempts=1)
        sessions = [session(n, driver=str(n)) for n in range(20)]
        running = asyncio.ensure_future(
            run(
                pages(sessions), handle, store=store, concurrency=2, retry=policy, on_failure="skip"
            )
        )
        await pass_time(5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        kept = await store.load("test")
        settled = 0 if kept is None else len(kept.position.settled)
        assert kept is None or kept.position.cursor is None
        assert settled == 0
        assert len(done) <= 2

    test()


@pytest.mark.parametrize("where", ["store", "ledger", "task"])
def test_a_cancellation_from_nowhere_is_no_silent_end(where):
    class Store(MemoryStore):
        async def save(self, name, position, *, after):
            if where == "store" and not self.__dict__.setdefault("tripped", False):
                self.__dict__["tripped"] = True
                raise asyncio.CancelledError
            return await super().save(name, position, after=after)

    class Cancels(MemoryLedger):
        async def add(self, failed):
            raise asyncio.CancelledError

    @virtual
    async def test():
        async def handle(one):
            await pass_time(0.1)
            if where == "ledger":
                raise ZeroDivisionError
            if where == "task":
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await pass_time(1)

        more: dict[str, Any] = {"retry": RetryPolicy(attempts=1, give_up_after=60)}
        if where == "ledger":
            more |= {"on_failure": "park", "ledger": Cancels()}
        running = run(pages([session(n) for n in range(100)]), handle, store=Store(), **more)
        if where == "store":  # it is asked again
            assert (await running).handled == 100
            return
        with pytest.raises((RuntimeError, asyncio.CancelledError)):
            await running

    test()


@virtual
async def test_the_last_save_does_not_fail_unnoticed():
    class Full(MemoryStore):
        async def save(self, name, position, *, after):
            if after:  # there was room for the start
                raise OSError("disk full")
            return await super().save(name, position, after=after)

    handler = AsyncMock()
    with pytest.raises(StoreError, match="disk full"):
        await run(pages([session(1)]), handler, store=Full())
    handler.assert_awaited()


@virtual
async def test_closing_the_stream_stops_a_consumer_whose_reading_is_paused():
    async with feed(World(sessions=100, changes_per_hour=0), page_size=10) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        handled = Handled(seconds=1e6)
        running = asyncio.ensure_future(run(stream, handled, max_unsettled=1, drain_timeout=5))
        await pass_time(60)
        await stream.aclose()
        report = await running
        assert report.handled == 0
        assert report.unsettled == 10


@virtual
async def test_closing_a_stream_that_has_ended_stops_its_consumer_too():
    async with feed(World(sessions=10, changes_per_hour=0)) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=api.now + timedelta(days=1))
        running = asyncio.ensure_future(run(stream, Handled(seconds=1e6), drain_timeout=5))
        await pass_time(60)
        await stream.aclose()
        assert (await running).unsettled == 10


@virtual
async def test_closing_the_stream_stops_a_consumer_whose_position_can_not_be_loaded():
    async with feed(World(sessions=10, changes_per_hour=0)) as (_, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO)
        store, events, kept = TroubledStore(), [], Position(query="q", origin="q", cursor="kept")
        await store.save("test", kept, after=0)
        store.error = OSError("away")
        running = asyncio.ensure_future(
            run(stream, AsyncMock(), store=store, observer=events.append)
        )
        await pass_time(60)
        await stream.aclose()
        assert (await running).handled == 0
        assert isinstance(events[-1], ConsumerStopped)
        store.error = None
        assert await store.kept("test") == kept


@pytest.mark.parametrize("fails", ["load", "save"])
def test_closing_the_client_stops_a_consumer_whose_store_fails(fails):
    class Fails(TroubledStore):
        async def load(self, name):
            return await super().load(name) if fails == "load" else None

    @virtual
    async def test():
        async with feed(World(sessions=50, changes_per_hour=0), page_size=10) as (_, client, _):
            stream, store = client.sessions.stream(start_time=LONG_AGO), Fails()
            store.error = OSError("away")
            running = asyncio.ensure_future(run(stream, AsyncMock(), store=store))
            await pass_time(60)
            await client.aclose()
            with pytest.raises(ClosedError):
                await running

    test()


@virtual
async def test_cancelled_while_it_loads_it_leaves_no_task_behind():
    async with feed(World(sessions=10, changes_per_hour=0)) as (_, client, _):
        before = asyncio.all_tasks()
        store = TroubledStore()
        store.hangs = True
        running = asyncio.ensure_future(
            run(client.sessions.stream(start_time=LONG_AGO), AsyncMock(), store=store)
        )
        await pass_time(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == before


@virtual
async def test_a_stream_is_consumed_once():
    async with feed(World(sessions=10, changes_per_hour=0)) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=api.now)
        await run(stream, AsyncMock())
        with pytest.raises(InvalidArgumentError, match="^stream: was already used"):
            await run(stream, AsyncMock())
        begun = client.sessions.stream(start_time=LONG_AGO)
        await anext(begun)
        with pytest.raises(InvalidArgumentError, match="^stream: was already used"):
            await run(begun, AsyncMock())
        closed = client.sessions.stream(start_time=LONG_AGO)
        await closed.aclose()
        with pytest.raises(InvalidArgumentError, match="^stream: was already used"):
            await run(closed, AsyncMock())


@virtual
async def test_what_consume_would_pass_over_is_refused():
    async with feed() as (_, client, _):
        with pytest.raises(InvalidArgumentError, match="^stream: give the stream itself"):
            await run(client.sessions.stream(start_time=LONG_AGO).pages(), AsyncMock())
        settling = client.sessions.stream(start_time=LONG_AGO, on_malformed=AsyncMock())
        with pytest.raises(InvalidArgumentError, match="^stream: .* on_malformed"):
            await run(settling, AsyncMock())
        by_ack = client.sessions.stream(start_time=LONG_AGO, settle="ack")
        with pytest.raises(InvalidArgumentError, match="^stream: .* settle="):
            await run(by_ack, AsyncMock())


@virtual
async def test_what_is_no_exception_comes_out_as_itself():
    class Stop(BaseException):
        pass

    async def handle(one):
        raise Stop

    with pytest.raises(Stop):
        await run(pages([session(n, driver=str(n)) for n in range(5)]), handle)


@virtual
async def test_empty_pages_behind_a_stuck_session_do_not_pile_up():
    async def endless():
        async for page in pages([session(1)]):
            yield page
        for number in range(5000):
            yield Page(entries=(), end_cursor=f"e{number}", has_next_page=True, size=60)
        await asyncio.Event().wait()

    store = MemoryStore()
    running = asyncio.ensure_future(
        run(endless(), Handled(seconds=100), store=store, max_unsettled=5)
    )
    await pass_time(50)
    await pass_time(100)
    kept = await store.load("test")
    assert kept is not None
    assert kept.position.cursor == "e4999"
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


# Going on


@virtual
async def test_a_second_run_goes_on_where_the_first_was_stopped():
    async with feed(World(sessions=100, changes_per_hour=0), page_size=30) as (api, client, _):
        store, handled = MemoryStore(), Handled(seconds=1)
        end = api.now + timedelta(days=1)
        for _ in range(50):
            stream = client.sessions.stream(start_time=LONG_AGO, end_time=end)
            with suppress(TimeoutError):
                async with asyncio.timeout(4.5):
                    await run(stream, handled, store=store, concurrency=2)
        assert Counter(map(key, handled)) == dict.fromkeys(api.world.latest(), 1)


@virtual
async def test_a_start_that_has_moved_on_resumes_and_other_filters_do_not():
    async with feed(World(sessions=10, changes_per_hour=0)) as (api, client, _):
        store, end = MemoryStore(), api.now
        handled = Handled()
        await run(client.sessions.stream(start_time=LONG_AGO, end_time=end), handled, store=store)
        later = LONG_AGO + timedelta(days=1)
        await run(client.sessions.stream(start_time=later, end_time=end), handled, store=store)
        assert len(handled) == 10
        assert api.requests[-1].query["startTime"] == "2020-01-01T00:00:00Z"
        drivers = api.world.drivers[:1]
        other = client.sessions.stream(start_time=LONG_AGO, end_time=end, driver_ids=drivers)
        with pytest.raises(QueryMismatchError, match="driverIds") as caught:
            await run(other, handled, store=store)
        assert "driverIds" in caught.value.asked
        assert "driverIds" not in caught.value.stored
        earlier = client.sessions.stream(start_time=LONG_AGO - timedelta(days=1), end_time=end)
        with pytest.raises(QueryMismatchError):
            await run(earlier, handled, store=store)


@virtual
async def test_two_consumers_of_one_name_are_one_too_many():
    async with feed(World(sessions=200, changes_per_hour=0), page_size=10) as (_, client, _):
        store = MemoryStore()
        runs = [
            run(client.sessions.stream(start_time=LONG_AGO), Handled(), store=store)
            for _ in range(2)
        ]
        tasks = [asyncio.ensure_future(one) for one in runs]
        done, (other,) = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(StaleCheckpointError):
            await done.pop()
        other.cancel()
        with suppress(asyncio.CancelledError):
            await other


@virtual
async def test_checkpoints_are_saved_at_most_every_second_and_at_the_end():
    events = []
    sessions = [session(n, driver=str(n)) for n in range(1000)]
    await run(pages(sessions), Handled(0.1), concurrency=10, observer=events.append)
    saves = [event for event in events if isinstance(event, CheckpointSaved)]
    assert 9 <= len(saves) <= 13
    assert [event.revision for event in saves] == list(range(1, len(saves) + 1))


class Flaky(MappingStore):
    """A store whose saves fail in turn before and after they have happened."""

    def __init__(self):
        super().__init__({})
        self.saves = 0

    async def save(self, name, position, *, after):
        self.saves += 1
        if self.saves % 3 == 1:
            raise OSError("not happened")
        kept = await super().save(name, position, after=after)
        if self.saves % 3 == 2:
            raise OSError("happened, and the answer was lost")
        return kept


@virtual
async def test_a_store_that_fails_now_and_then_is_asked_again():
    store, events = Flaky(), []
    sessions = [session(n) for n in range(100)]
    report = await run(pages(sessions), Handled(), store=store, observer=events.append)
    kept = await store.load("test")
    assert kept is not None
    assert kept.position == report.position
    assert any(isinstance(event, SaveFailed) for event in events)


@virtual
async def test_a_store_that_fails_for_good_stops_the_consumer():
    class Broken(MemoryStore):
        async def save(self, name, position, *, after):
            raise OSError("no such table")

    policy = RetryPolicy(give_up_after=60)
    with pytest.raises(StoreError, match="no such table"):
        await run(
            pages([session(n) for n in range(10_000)]), Handled(), store=Broken(), retry=policy
        )


# Bad input


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("handler", dict),
        ("handler", 7),
        ("on_failure", "ignore"),
        ("concurrency", 0),
        ("concurrency", 1.5),
        ("key", AsyncMock()),
        ("key", 3),
        ("observer", AsyncMock()),
        ("retry", 5),
        ("failure_ratio", "0.5"),
        ("failure_ratio", float("nan")),
        ("max_unsettled", 0),
        ("max_unsettled_bytes", 0),
        ("drain_timeout", -1),
        ("store", 7),
        ("ledger", None),
        ("ledger", "parked.jsonl"),
    ],
)
async def test_bad_input_is_refused_by_name(argument, value):
    more = {"on_failure": "park"} if argument == "ledger" else {}
    arguments = {"handler": AsyncMock(), argument: value} | more
    with pytest.raises(InvalidArgumentError, match=f"^{argument}: "):
        await run(pages([]), **arguments)


@virtual
async def test_name_and_store_belong_to_one_of_the_two():
    async with feed() as (_, client, _):
        kept = client.sessions.stream(start_time=LONG_AGO, name="x", store=MemoryStore())
        with pytest.raises(InvalidArgumentError, match="^stream: "):
            await run(kept, AsyncMock())


def test_keys_name_versions_as_the_emulator_does():
    assert keys([session(1)]) == [("s1", "2026-01-01T00:00:01.000Z")]


@virtual
async def test_a_handler_that_cancels_its_own_task_has_failed_and_no_other_pays_for_it():
    async with feed(World(sessions=3, changes_per_hour=0)) as (_, client, _):
        events, begun = [], []

        async def handle(session):
            begun.append(session.id)
            if len(begun) == 1:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

        stream = client.sessions.stream(start_time=LONG_AGO)
        running = asyncio.create_task(
            run(stream, handle, on_failure="skip", observer=events.append)
        )
        await pass_time(100)
        assert not running.done()
        (failed,) = [event for event in events if isinstance(event, HandlerFailed)]
        assert failed.session_id == begun[0]
        assert sorted(begun) == sorted([begun[0], *set(begun)])
        await stream.aclose()
        assert (await running).handled == 3

"""Each handler has a context, a cancellation and a clean-up of its own; the loop has its turn."""

import asyncio
import contextvars
import sys
from contextlib import suppress
from functools import partial, wraps

import anyio
import pytest

from coachstream import InvalidArgumentError, MemoryLedger, RetryPolicy
from coachstream.checkpoints import MemoryStore
from coachstream.consumer.workers import SLICE
from coachstream.tasks.supervision import CLEANUP
from coachstream.telemetry import ConsumerStopped
from tests.consumer.running import pages, run, session
from tests.guarantees.test_it_never_stalls_in_silence import block_the_loop
from tests.support.virtual_time import LoopClock, pass_time, virtual

NEVER = 1e9


def many(count=200):
    """Sessions of as many drivers."""
    return [session(n, driver=str(n)) for n in range(count)]


def loop_time():
    return asyncio.get_running_loop().time()


async def cancelled(running):
    """Cancel a task and wait until it has ended so."""
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


# What is taken for a handler


@virtual
async def test_whatever_returns_an_awaitable_is_a_handler():
    handled = []

    async def handle(one):
        await pass_time(1)
        handled.append(one.id)

    @wraps(handle)
    def decorated(one):
        return handle(one)

    def plain(_, one):
        return handle(one)

    for handler in (decorated, lambda one: plain(1, one), partial(plain, 1)):
        handled.clear()
        assert (await run(pages(many(20)), handler)).handled == 20
        assert len(handled) == 20


@pytest.mark.parametrize("on_failure", ["stop", "skip", "park"])
def test_a_handler_that_proves_not_to_be_async_stops_the_consumer_at_the_first_session(on_failure):
    handled, ledger, store = [], MemoryLedger(), MemoryStore()

    def handle(one):
        handled.append(one.id)

    @virtual
    async def test():
        more = {"on_failure": on_failure, "ledger": ledger, "store": store}
        with pytest.raises(InvalidArgumentError, match="^handler: .* returned NoneType$"):
            await run(pages([session(n) for n in range(20)]), handle, **more)
        assert handled == ["s0"]
        assert not [one async for one in ledger.list()]
        assert (await replayed(store)) == 20

    test()


async def replayed(store):
    """Return how many sessions the next run handles."""
    handled = []

    async def handle(one):
        handled.append(one)

    await run(pages([session(n) for n in range(20)]), handle, store=store)
    return len(handled)


# Context


@pytest.mark.parametrize("waits", [True, False])
def test_no_handler_sees_what_another_has_set(waits):
    tenant = contextvars.ContextVar("tenant", default="nobody")
    seen = []

    async def handle(one):
        seen.append(tenant.get())
        tenant.set(one.id)
        if waits:
            await pass_time(0.1)
        assert tenant.get() == one.id

    @virtual
    async def test():
        tenant.set("acme")
        assert (await run(pages(many()), handle)).handled == 200
        assert seen == ["acme"] * 200
        assert tenant.get() == "acme"

    test()


@virtual
async def test_no_other_attempt_sees_it_either():
    tenant = contextvars.ContextVar("tenant", default="acme")
    seen = []

    async def handle(one):
        seen.append(tenant.get())
        tenant.set("other")
        if len(seen) < 3:
            raise ZeroDivisionError

    await run(pages([session(1)]), handle)
    assert seen == ["acme"] * 3


@virtual
async def test_values_that_cannot_be_compared_do_not_leak_either():
    class Array:
        def __eq__(self, other):
            raise ValueError("the truth value is ambiguous")

        __hash__ = None  # type: ignore[assignment]  # like arrays

    rows = contextvars.ContextVar[Array]("rows")
    seen = []

    async def handle(one):
        seen.append(rows.get())
        rows.set(Array())

    first = Array()
    rows.set(first)
    await run(pages(many(20)), handle)
    assert all(one is first for one in seen)


# Cancelling


@virtual
async def test_once_cancelled_no_handler_begins():
    begun = []

    async def handle(one):
        begun.append(one.id)
        try:
            await pass_time(1)
        except asyncio.CancelledError:
            raise OSError("connection lost in clean-up") from None

    store, ledger = MemoryStore(), MemoryLedger()
    running = asyncio.ensure_future(
        run(
            pages(many(500)),
            handle,
            store=store,
            on_failure="park",
            ledger=ledger,
            failure_ratio=1.0,
            retry=RetryPolicy(attempts=1),
        )
    )
    await pass_time(0.5)
    assert len(begun) == 16
    await cancelled(running)
    assert len(begun) == 16
    assert [one async for one in ledger.list()] == []
    kept = await store.load("test")
    assert kept is None or kept.position.settled == ()


@pytest.mark.parametrize("suspensions", range(12))
def test_no_handler_begins_that_has_not_begun_when_it_is_cancelled(suspensions):
    """Whenever the cancellation comes, also before the first handler."""

    @virtual
    async def test():
        begun = []

        async def handle(one):
            begun.append(one.id)

        running = asyncio.ensure_future(run(pages(many(500), size=500), handle))
        for _ in range(suspensions):
            await LoopClock().sleep(0)
        if running.done():
            return
        running.cancel()
        before = len(begun)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(begun) == before

    test()


@virtual
async def test_a_handler_that_cancels_its_consumer_is_the_last_to_begin():
    begun = []

    async def handle(one):
        begun.append(one.id)
        running.cancel()

    running = asyncio.ensure_future(run(pages(many(500), size=500), handle))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert begun == ["s0"]


@virtual
async def test_cancelled_before_it_was_called_it_still_handles():
    """A cancellation that was caught before is none of this consumer."""
    handled = []

    async def handle(one):
        handled.append(one.id)

    async def main():
        with suppress(asyncio.CancelledError):
            await pass_time(NEVER)
        return await run(pages(many(20)), handle)

    running = asyncio.ensure_future(main())
    await pass_time(1)
    running.cancel()
    for _ in range(1000):  # while workers begin and end in vain, no time would pass
        await pass_time(0)
    assert running.done()
    assert (await running).handled == len(handled) == 20


async def clean_up(cleaned, seconds, one):
    """A handler that takes its time to clean up."""
    try:
        await pass_time(NEVER)
    finally:
        await pass_time(seconds)
        cleaned.append(one.id)


async def in_a_cancel_scope(running):
    """Cancel it after a while, as anyio does: again and again."""
    with anyio.fail_after(10):
        await running


@pytest.mark.parametrize("bounded", [partial(asyncio.wait_for, timeout=10), in_a_cancel_scope])
def test_each_handler_is_cancelled_once_and_may_finish_its_clean_up(bounded):
    @virtual
    async def test():
        cleaned, closed = [], []

        async def watched():
            try:
                async for page in pages(many(16), size=16):
                    yield page
                await pass_time(NEVER)
            finally:
                await pass_time(CLEANUP / 2)
                closed.append(True)

        running = run(watched(), partial(clean_up, cleaned, CLEANUP / 2))
        with pytest.raises(TimeoutError):
            await bounded(running)
        assert len(cleaned) == 16
        assert closed == [True]
        assert len(asyncio.all_tasks()) == 1

    test()


@virtual
async def test_what_outlasts_the_drain_is_cancelled_once_too():
    async def failing():
        async for page in pages(many(16), size=16):
            yield page
        await pass_time(1)
        raise KeyError("gone")

    cleaned, began = [], loop_time()
    with pytest.raises(KeyError, match="gone"):
        await run(failing(), partial(clean_up, cleaned, CLEANUP / 2), drain_timeout=7)
    assert len(cleaned) == 16
    assert loop_time() - began == pytest.approx(1 + 7 + CLEANUP / 2, abs=0.1)


@virtual
async def test_what_ends_in_no_way_is_left_behind_and_settles_nothing():
    released, ended, events = asyncio.Event(), [], []

    async def handle(one):
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()
        ended.append(one.id)

    store = MemoryStore()
    running = asyncio.ensure_future(
        run(pages(many(3)), handle, store=store, observer=events.append)
    )
    await pass_time(1)
    began = loop_time()
    await cancelled(running)
    assert loop_time() - began == pytest.approx(2 * CLEANUP, abs=0.1)
    (stopped,) = [one for one in events if isinstance(one, ConsumerStopped)]
    assert (stopped.handled, stopped.unsettled) == (0, 3)
    saved = await store.load("test")
    released.set()
    await pass_time(1)
    assert len(ended) == 3
    assert await store.load("test") == saved
    assert saved is None or saved.position.settled == ()


@virtual
async def test_what_hides_its_cancellation_and_returns_is_not_handled():
    async def handle(one):
        with suppress(asyncio.CancelledError):
            await pass_time(NEVER)

    async def failing():
        async for page in pages(many(3)):
            yield page
        await pass_time(1)
        raise KeyError("gone")

    events = []
    with pytest.raises(KeyError):
        await run(failing(), handle, drain_timeout=1, observer=events.append)
    (stopped,) = [one for one in events if isinstance(one, ConsumerStopped)]
    assert (stopped.handled, stopped.unsettled) == (0, 3)


@virtual
async def test_impatient_cancellations_do_not_cut_the_clean_up_nor_the_last_save():
    cleaned, store = [], MemoryStore()

    async def handle(one):
        if one.id != "s0":
            await clean_up(cleaned, CLEANUP - 1, one)

    running = asyncio.ensure_future(run(pages(many(9)), handle, store=store, concurrency=9))
    await pass_time(0.5)
    for _ in range(5):
        running.cancel()
        await pass_time(0.2)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(cleaned) == 8
    kept = await store.load("test")
    assert kept is not None
    assert kept.position.settled == (session(0).key,)


# The loop's turn


@virtual
async def test_handlers_that_never_wait_leave_the_loop_its_turn():
    gaps, last = [], loop_time()

    async def compute(one):
        block_the_loop(0.01)

    async def other_work():
        nonlocal last
        while True:
            await LoopClock().sleep(0)
            gaps.append(loop_time() - last)
            last = loop_time()

    other = asyncio.ensure_future(other_work())
    await run(pages(many(500), size=500), compute)
    other.cancel()
    assert max(gaps) <= 0.01 + SLICE


@virtual
async def test_quick_ones_are_not_interrupted_for_each_session():
    turns = 0

    async def compute(one):
        block_the_loop(SLICE / 100)

    async def other_work():
        nonlocal turns
        while True:
            await LoopClock().sleep(0)
            turns += 1

    other = asyncio.ensure_future(other_work())
    await run(pages(many(500), size=500), compute)
    other.cancel()
    assert turns < 50


@virtual
async def test_a_cancelled_consumer_whose_handlers_never_wait_stops_soon():
    begun = []

    async def compute(one):
        begun.append(one.id)
        block_the_loop(0.01)

    running = asyncio.ensure_future(run(pages(many(500), size=500), compute))
    asyncio.get_running_loop().call_later(0.1, running.cancel)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert 5 <= len(begun) <= 15


@virtual
async def test_while_handlers_never_wait_progress_is_saved():
    saves = []

    class Store(MemoryStore):
        async def save(self, name, position, *, after):
            saves.append(len(position.settled))
            return await super().save(name, position, after=after)

    async def compute(one):
        block_the_loop(0.1)

    await run(pages(many(100), size=100), compute, store=Store())
    assert len(saves) >= 8


# Eager tasks


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@pytest.mark.parametrize("seconds", [0, 0.1])
def test_a_factory_of_eager_tasks_changes_nothing(seconds):
    tenant = contextvars.ContextVar("tenant", default="nobody")

    @virtual
    async def test():
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  # 3.11 has none
        running, most, seen = 0, 0, []

        async def handle(one):
            nonlocal running, most
            running += 1
            most = max(most, running)
            seen.append(tenant.get())
            tenant.set(one.id)
            if seconds:
                await pass_time(seconds)
            running -= 1

        report = await run(pages(many(500), size=500), handle, concurrency=200)
        assert report.handled == 500
        assert seen == ["nobody"] * 500
        assert most == (200 if seconds else 1)

    test()

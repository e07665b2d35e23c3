"""The test kit works as documented."""

import asyncio
import hashlib
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from coachstream import Client, SystemClock
from coachstream.emulator.world import DEFAULT_START
from coachstream.testing import (
    Emulator,
    EmulatorThread,
    FastForwardLoop,
    LoopClock,
    Requests,
    World,
    assert_all_handled,
    assert_limit_kept,
    assert_same_query,
    fast_forward,
    most_in_a_second,
    pass_time,
    quiet_world,
    refuse,
    wait_until,
)
from coachstream.testing.requests import ASSIGNMENTS, SESSIONS
from tests.support.emulated import LONG_AGO, TOKEN, feed

# The world


def test_a_quiet_world_does_not_change_and_takes_the_arguments_of_a_world():
    world = quiet_world()
    before = world.versions()
    assert len({name for name, _ in before}) == 50
    world.advance(world.now + timedelta(days=365))
    assert world.versions() == before
    lively = quiet_world(3, sessions=7, drivers=2, coaches=1, changes_per_hour=60)
    assert len(lively.sessions()) == 7
    assert (len(lively.drivers), len(lively.coaches)) == (2, 1)
    assert lively.versions() == World(3, sessions=7, drivers=2, coaches=1).versions()


# The emulator in a thread


def get_status(url):
    request = urllib.request.Request(  # noqa: S310  # our own address
        f"{url}{SESSIONS}?startTime=2020-01-01T00:00:00Z", headers={"Authorization": "Bearer x"}
    )
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310  # likewise
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.status


def test_an_emulator_serves_from_its_thread_and_stops_with_it():
    with EmulatorThread(Emulator(quiet_world(sessions=2))) as samsara:
        samsara.faults.append(refuse(503))
        assert [get_status(samsara.url), get_status(samsara.url)] == [503, 200]
        assert [request.status for request in samsara.requests] == [503, 200]
        assert set(samsara.requests[1].served) == samsara.world.latest()
        url = samsara.url
    assert len(samsara.requests) == 2
    with pytest.raises(urllib.error.URLError):
        get_status(url)


def test_changes_by_the_test_happen_at_the_worlds_time():
    with EmulatorThread(Emulator(quiet_world(sessions=0))) as samsara:
        assert DEFAULT_START <= samsara.now < DEFAULT_START + timedelta(hours=1)
        samsara.advance(timedelta(days=2))
        session = samsara.world.add_session(sessionNote="hello")
        [one] = samsara.world.sessions()
        assert (one["id"], one["sessionNote"]) == (session, "hello")
        assert datetime.fromisoformat(one["updatedAtTime"]) >= DEFAULT_START + timedelta(days=2)
        assert samsara.world.now >= DEFAULT_START + timedelta(days=2)
        with pytest.raises(KeyError):
            samsara.world.complete("nobody's")
    assert len(samsara.world.sessions()) == 1


def test_calls_to_the_world_run_in_the_emulators_thread():
    threads = set()

    def clock():
        threads.add(threading.get_ident())
        return DEFAULT_START

    with EmulatorThread(Emulator(quiet_world())) as samsara:
        samsara.world.follow(clock)
        samsara.world.add_session()
        assert samsara.world.now == DEFAULT_START
    assert len(threads) == 1
    assert threading.get_ident() not in threads


# Waiting


def test_a_test_that_is_not_async_waits_until_something_is_true():
    with EmulatorThread(Emulator(quiet_world())) as samsara:
        service = threading.Timer(0.05, get_status, (samsara.url,))
        service.start()
        samsara.wait_until(lambda: samsara.requests)
        assert len(samsara.requests) == 1
        service.join()
        with pytest.raises(AssertionError, match="not true within 0.05 s"):
            samsara.wait_until(lambda: len(samsara.requests) > 1, within=0.05)


async def test_an_async_test_is_told_how_to_wait():
    with (
        EmulatorThread(Emulator(quiet_world())) as samsara,
        pytest.raises(RuntimeError, match="await coachstream.testing.wait_until"),
    ):
        samsara.wait_until(lambda: True)


@fast_forward
async def test_an_async_test_waits_until_something_is_true():
    done = []

    async def work():
        await pass_time(7)
        done.append(asyncio.get_running_loop().time())

    working = asyncio.create_task(work())
    await wait_until(lambda: done)
    assert done[0] <= asyncio.get_running_loop().time() < done[0] + 0.1
    await working
    began = asyncio.get_running_loop().time()
    with pytest.raises(AssertionError, match="not true within 10 s"):
        await wait_until(lambda: len(done) > 1)
    assert 10 <= asyncio.get_running_loop().time() - began < 10.1


def test_a_port_that_is_taken_is_an_error_and_leaves_no_thread():
    with EmulatorThread(Emulator(quiet_world())) as samsara:
        port = int(samsara.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address"), EmulatorThread(Emulator(port=port)):
            pass
        assert get_status(samsara.url) == 200


def test_an_emulator_in_real_time_is_refused_on_virtual_time():
    with EmulatorThread(Emulator(quiet_world())) as samsara:

        @fast_forward
        async def test():
            with pytest.raises(RuntimeError, match="async with Emulator"):
                assert samsara.url

        test()


# Virtual time


@fast_forward
async def test_a_year_passes_in_a_moment_and_everything_due_happens():
    clock, begun = LoopClock(), SystemClock().monotonic()
    days = []

    async def count():
        while True:
            await clock.sleep(86_400)
            days.append(clock.now())

    task = asyncio.create_task(count())
    await pass_time(timedelta(days=365, hours=1))
    task.cancel()
    assert len(days) == 365
    assert clock.now() - DEFAULT_START >= timedelta(days=365)
    assert SystemClock().monotonic() - begun < 30


@fast_forward
async def test_client_and_emulator_agree_on_the_time():
    async with feed() as (api, _, _):
        await pass_time(3600)
        assert abs(LoopClock().now() - api.now) < timedelta(seconds=1)
    later = datetime(2030, 1, 1, tzinfo=UTC)
    assert LoopClock(later).now() - LoopClock().now() == later - DEFAULT_START


async def test_pass_time_is_refused_in_real_time():
    with pytest.raises(RuntimeError, match="@fast_forward"):
        await pass_time(1)


def work():
    """Work for some milliseconds, in which the loop could jump by hours."""
    return hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000)


@pytest.mark.parametrize("in_thread", [asyncio.to_thread, anyio.to_thread.run_sync])
def test_time_stands_still_while_a_thread_works(in_thread):
    @fast_forward
    async def test():
        loop = asyncio.get_running_loop()
        fired = []
        timer = loop.call_later(60, fired.append, "time-out")
        async with feed():  # the same with and without open sockets
            await in_thread(work)
        await in_thread(work)
        timer.cancel()
        assert loop.time() < 1
        assert fired == []

    test()


def test_time_passes_while_a_thread_waits_for_the_loop():
    @fast_forward
    async def test():
        async def nap():
            await pass_time(3600)

        await anyio.to_thread.run_sync(anyio.from_thread.run, nap)
        assert asyncio.get_running_loop().time() >= 3600

    test()


def test_the_decorated_test_keeps_its_name_arguments_result_and_failure():
    @fast_forward
    async def test(left, *, right):
        """What it says."""
        assert isinstance(asyncio.get_running_loop(), FastForwardLoop)
        assert left == right, "not the same"

    test("a", right="a")
    assert (test.__name__, test.__doc__) == ("test", "What it says.")
    with pytest.raises(AssertionError, match="not the same"):
        test("a", right="b")


# Assertions on requests


@pytest.mark.parametrize(
    ("times", "most"),
    [([], 0), ([3], 1), ([0, 1, 2], 1), ([0, 0.999, 1.5], 2), ([5, 0.1, 0.1, 1, 1.05], 4)],
)
def test_the_most_in_a_second(times, most):
    assert most_in_a_second(times) == most


async def requests_of(faults=()):
    """The requests of a client that reads all sessions, and all assignments."""
    async with feed(quiet_world(), page_size=5, faults=faults) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=api.now)
        handled = [session async for session in stream]
        assert [one async for one in client.assignments.list()]
        return api.requests, handled


@fast_forward
async def test_our_client_passes_every_assertion():
    requests, handled = await requests_of([refuse(429, retry_after=0.1), refuse(503)])
    assert_limit_kept(requests)
    assert_same_query(requests)
    assert_all_handled(requests, handled)
    assert_all_handled(requests, [session.key for session in handled])


@fast_forward
async def test_an_exceeded_limit_is_reported_with_the_times():
    requests, _ = await requests_of()
    with pytest.raises(AssertionError, match=f"5 requests to {SESSIONS} in .*, limit 3: at 0.* s"):
        assert_limit_kept(requests, sessions=3)
    assert_limit_kept(requests, assignments=10)
    with pytest.raises(AssertionError, match=f"requests to {ASSIGNMENTS} in a second, limit 1: at"):
        assert_limit_kept(requests, assignments=1)


@fast_forward
async def test_a_different_query_is_reported_with_both_queries():
    async with feed(quiet_world(), page_size=20) as (api, client, _):
        for start in (LONG_AGO, LONG_AGO + timedelta(days=1)):
            stream = client.sessions.stream(start_time=start, end_time=api.now)
            assert [session async for session in stream]
        assert_same_query(api.requests[:3])
        with pytest.raises(AssertionError, match=r"(?s)request 3 .*2020-01-02.*first.*2020-01-01"):
            assert_same_query(api.requests)


def test_no_request_is_an_error():
    with pytest.raises(AssertionError, match="no request"):
        assert_same_query(Requests(1))


@fast_forward
async def test_unhandled_versions_are_reported():
    requests, handled = await requests_of()
    name, _ = handled[7].key
    with pytest.raises(AssertionError, match=f"1 of 50 not handled: {name} of 20"):
        assert_all_handled(requests, handled[:7] + handled[8:])
    with pytest.raises(AssertionError, match=r"50 of 50 not handled: .*, …$"):
        assert_all_handled(requests, [])
    with pytest.raises(AssertionError, match="1 handled and never served: ghost of 2020-01-01T"):
        assert_all_handled(requests, [*handled, ("ghost", LONG_AGO)])


async def test_requests_may_arrive_during_an_iteration():
    async with Emulator(quiet_world()) as api, Client(TOKEN, base_url=api.url) as client:
        stream = client.sessions.stream(start_time=LONG_AGO)
        await anext(stream)
        for _ in api.requests:
            await client.assignments.unassign(api.world.drivers[0])
        assert len(api.requests) >= 2
        await stream.aclose()

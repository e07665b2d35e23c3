"""The server: tokens, paths, limits, the request log, time, starting and stopping."""

import asyncio
import re
import selectors
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from coachstream.emulator import Emulator, World, refuse, stall
from coachstream.emulator.clock import WorldClock

SESSIONS = "/coaching/sessions/stream"
ASSIGNMENTS = "/coaching/driver-coach-assignments"
START = {"startTime": "2020-01-01T00:00:00Z"}
BEARER = {"Authorization": "Bearer secret"}
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def small(**settings):
    return World(**{"sessions": 5, "drivers": 5, "now": NOW, "changes_per_hour": 0, **settings})


async def status(http, path=SESSIONS, method="GET", **more):
    async with http.request(method, path, **{"params": START, "headers": BEARER, **more}) as answer:
        return answer.status


async def until(condition):
    """Yield to other tasks until the condition is true, without waiting for time to pass."""
    while not condition():  # noqa: ASYNC110 - there is no event for what a server has seen
        await asyncio.sleep(0)  # noqa: TID251 - yields, and passes no time


@pytest_asyncio.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


# Tokens and paths


@pytest.mark.parametrize(
    ("asked", "sent", "wanted"),
    [
        (None, "Bearer x", 200),
        (None, "bearer x", 200),
        (None, None, 401),
        (None, "Bearer ", 401),
        (None, "Basic x", 401),
        ("secret", "Bearer secret", 200),
        ("secret", "Bearer secre", 401),
        ("secret", "Bearer sécret", 401),
        ("secret", None, 401),
    ],
)
async def test_the_token_is_checked(http, asked, sent, wanted):
    async with Emulator(small(), token=asked) as api:
        headers = {"Authorization": sent} if sent else {}
        async with http.get(api.url + SESSIONS, params=START, headers=headers) as answer:
            assert answer.status == wanted
            body = await answer.json()
    if wanted == 401:
        assert body["message"] == "Invalid token."


async def test_bytes_that_are_not_utf_8_are_refused():
    async with Emulator(small(), token="secret") as api:
        url = URL(api.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        for token, wanted in ((b"\xff", b"401"), (b"secret", b"400")):
            writer.write(
                b"GET %b?startTime=2020-01-01T00:00:00Z&after=%%ff%%ed%%b2%%80 HTTP/1.1\r\n"
                b"Host: x\r\nAuthorization: Bearer %b\r\n\r\n" % (SESSIONS.encode(), token)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.split()[1] == wanted
            size = re.search(rb"Content-Length: (\d+)", head)
            assert size
            await reader.readexactly(int(size[1]))
        writer.close()
        await writer.wait_closed()


async def test_an_unknown_path_is_a_plain_text_404(http):
    async with (
        Emulator(small()) as api,
        http.get(api.url + "/coaching/sessions", headers=BEARER) as answer,
    ):
        assert answer.status == 404
        assert (await answer.text()).strip() == "404 page not found"
        assert answer.content_type == "text/plain"


@pytest.mark.parametrize(("method", "path"), [("POST", SESSIONS), ("DELETE", ASSIGNMENTS)])
async def test_an_unknown_method_is_a_405(http, method, path):
    async with (
        Emulator(small()) as api,
        http.request(method, api.url + path, headers=BEARER) as answer,
    ):
        assert answer.status == 405
        assert (await answer.json())["message"] == f"{method} not allowed on {path}."


async def test_every_response_has_a_request_id(http):
    async with Emulator(small(), token="secret", faults=[refuse(500)]) as api:
        seen = set()
        for path, headers in (
            (SESSIONS, {}),
            (SESSIONS, BEARER),
            (SESSIONS, BEARER),
            (ASSIGNMENTS, BEARER),
            ("/", {}),
        ):
            async with http.get(api.url + path, headers=headers, params=START) as answer:
                seen.add(answer.headers["Request-Id"])
                if answer.status in {401, 500}:
                    assert (await answer.json())["requestId"] == answer.headers["Request-Id"]
        assert len(seen) == 5


async def test_responses_are_compressed_for_clients_that_accept_it(http):
    async with Emulator(small()) as api, Emulator(small(), gzip=False) as plain:
        for url, accept, wanted in (
            (api.url, "gzip, deflate", "gzip"),
            (api.url, "identity", None),
            (plain.url, "gzip", None),
        ):
            headers = {**BEARER, "Accept-Encoding": accept}
            async with http.get(url + SESSIONS, params=START, headers=headers) as answer:
                assert answer.headers.get("Content-Encoding") == wanted
                assert len((await answer.json())["data"]) == 5


# The rate limit


async def test_one_request_too_many_is_refused_with_the_time_to_wait(http):
    async with Emulator(small(), sessions_per_second=0.001) as api:
        assert await status(http, api.url + SESSIONS) == 200
        async with http.get(api.url + SESSIONS, params=START, headers=BEARER) as answer:
            assert answer.status == 429
            assert (await answer.json())["message"] == "Exceeded rate limit."
            assert re.fullmatch(r"\d{3}\.\d{5}", answer.headers["Retry-After"])


async def test_reads_and_writes_of_assignments_share_a_limit_apart_from_sessions(http):
    async with Emulator(small(), assignments_per_second=0.001) as api:
        assert await status(http, api.url + ASSIGNMENTS, "PUT") == 400
        assert await status(http, api.url + ASSIGNMENTS) == 429
        assert await status(http, api.url + SESSIONS) == 200


async def test_limits_can_be_disabled(http):
    async with Emulator(small(), sessions_per_second=None, assignments_per_second=None) as api:
        for path in (SESSIONS, ASSIGNMENTS):
            assert {await status(http, api.url + path) for _ in range(20)} == {200}


async def test_the_documented_limits_are_the_default(http):
    async with Emulator(small()) as api:
        for limit, rate in zip(api._api._limits.values(), (5, 10), strict=True):
            through = [limit.try_acquire(100.0) == 0 for _ in range(rate + 1)]
            assert through == [True] * rate + [False]


# The request log


async def test_requests_are_logged_as_they_were_sent(http):
    async with Emulator(small()) as api:
        url = f"{api.url}{SESSIONS}?startTime=2020-01-01T00%3a00:00Z&driverIds=1&driverIds=a%2Bb+c"
        async with http.get(URL(url, encoded=True), headers=BEARER) as answer:
            page = await answer.json()
        await status(http, api.url + ASSIGNMENTS, "PUT")
        first, second = api.requests
        assert (first.method, first.path, first.status) == ("GET", SESSIONS, 200)
        assert first.query == {"startTime": "2020-01-01T00:00:00Z", "driverIds": "1,a+b c"}
        assert first.raw_query == "startTime=2020-01-01T00%3a00:00Z&driverIds=1&driverIds=a%2Bb+c"
        assert first.served == tuple((s["id"], s["updatedAtTime"]) for s in page["data"])
        assert first.headers["Accept"] == first.headers["accept"] == "*/*"
        assert first.fault is None
        assert 0 <= first.at <= second.at
        assert NOW <= first.now <= second.now
        assert (second.method, second.status) == ("PUT", 400)
        assert list(api.requests[-1:]) == [second]


async def test_served_versions_are_logged(http):
    async with Emulator(small()) as api:
        await status(http, api.url + SESSIONS)
        assert set(api.requests[0].served) == api.world.latest()


async def test_the_token_is_not_logged(http):
    async with Emulator(small()) as api:
        await status(http, api.url + SESSIONS)
        assert "secret" not in repr(list(api.requests))
        assert api.requests[0].headers["Authorization"] == "***"


async def test_only_the_latest_requests_are_logged(http):
    async with Emulator(small(), remember=2, sessions_per_second=None) as api:
        for n in range(4):
            await status(http, api.url + SESSIONS, params={**START, "n": n})
        assert [request.query["n"] for request in api.requests] == ["2", "3"]
        assert len(api.requests) == 2
        api.requests.clear()
        assert list(api.requests) == []


# Time


async def test_a_jump_of_time_applies_the_changes_in_between():
    async with Emulator(small(changes_per_hour=60)) as api:
        api.advance(timedelta(hours=10))
        assert api.now >= NOW + timedelta(hours=10)
        assert len(api.world.versions()) > 300
        with pytest.raises(ValueError, match="ahead"):
            api.advance(timedelta(seconds=-1))


async def test_changes_by_a_test_happen_now():
    async with Emulator(small(sessions=0)) as api:
        api.advance(timedelta(days=1))
        before = api.now
        api.world.add_session()
        [(_, stamp)] = api.world.versions()
        assert before <= datetime.fromisoformat(stamp) <= api.now


async def test_time_stops_with_the_emulator_and_continues_from_there():
    api = Emulator(small(), speed=1e6)
    api.advance(timedelta(hours=1))
    async with api:
        assert api.now >= NOW + timedelta(hours=1)
        api.advance(timedelta(hours=1))
    stopped = api.now
    assert stopped >= NOW + timedelta(hours=2)
    assert api.now == stopped
    async with api:
        assert api.now >= stopped


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes only when nothing else can run."""

    def __init__(self):
        super().__init__(VirtualSelector(self))
        self.virtual = 1000.0

    def time(self):
        return self.virtual


class VirtualSelector(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self.loop = loop

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout:
            self.loop.virtual += timeout
        return ready if ready or timeout is not None else super().select(None)


def run_virtually(main):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def test_the_clock_follows_the_loop():
    async def main():
        clock = WorldClock(NOW, speed=60)
        await clock.sleep(2.5)
        assert clock.elapsed() == pytest.approx(2.5)
        assert clock.now() == NOW + timedelta(seconds=150)
        clock.jump(timedelta(days=1))
        assert clock.now() == NOW + timedelta(days=1, seconds=150)

    run_virtually(main)


def test_all_waits_are_on_the_loop_so_that_time_can_be_virtual():
    async def main():
        loop = asyncio.get_running_loop()
        async with (
            Emulator(small(), latency=0.25, speed=60, faults=[stall(100)]) as api,
            aiohttp.ClientSession() as http,
        ):
            async with http.get(api.url + SESSIONS, params=START, headers=BEARER) as answer:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await answer.read()
            assert loop.time() == pytest.approx(1100.25)
            # Four requests per second for four seconds stay below the limit of five.
            for _ in range(16):
                assert await status(http, api.url + SESSIONS) == 200
            assert [r.at for r in api.requests] == pytest.approx(
                [0.0, *(100.25 + n / 4 for n in range(16))]
            )
            assert api.now == NOW + timedelta(seconds=60 * 104.25)
            statuses = await asyncio.gather(*(status(http, api.url + SESSIONS) for _ in range(8)))
            # One of the sixteen is exactly a second old and no longer counts.
            assert sorted(statuses) == [200] * 2 + [429] * 6

    run_virtually(main)


# Starting and stopping


async def test_stopping_twice_is_allowed_and_starting_twice_is_not():
    api = Emulator(small())
    await api.stop()
    await api.start()
    with pytest.raises(RuntimeError, match="running"):
        await api.start()
    await api.stop()
    await api.stop()


async def test_there_is_no_address_before_the_start():
    with pytest.raises(RuntimeError, match="started"):
        _ = Emulator(small()).url


async def test_a_port_can_be_chosen_and_is_free_again_after_the_stop(http):
    async with Emulator(small()) as api:
        port = int(api.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address"):
            await Emulator(small(), port=port).start()
    async with Emulator(small(), port=port) as api:
        assert api.url == f"http://127.0.0.1:{port}"
        assert await status(http, api.url + SESSIONS) == 200


async def test_stopping_ends_pending_requests(http):
    before = asyncio.all_tasks()
    api = Emulator(small(), latency=3600, sessions_per_second=None)
    await api.start()
    waiting = [asyncio.create_task(status(http, api.url + SESSIONS)) for _ in range(3)]
    await until(lambda: len(api.requests) == 3)
    await api.stop()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, aiohttp.ClientError) for result in results)
    assert asyncio.all_tasks() == before


async def test_stopping_ends_a_stalled_response(http):
    api = Emulator(small(), faults=[stall()])
    await api.start()
    async with http.get(api.url + SESSIONS, params=START, headers=BEARER) as answer:
        await answer.content.readany()
        await api.stop()
        with pytest.raises(aiohttp.ClientError):
            await answer.read()


async def test_a_request_is_cancelled_when_its_client_disconnects():
    async with Emulator(small(), latency=3600) as api:
        async with aiohttp.ClientSession() as http:
            pending = asyncio.create_task(status(http, api.url + SESSIONS))
            await until(lambda: api.requests)
            pending.cancel()
            await asyncio.wait([pending])
        await until(lambda: not api._handling)


async def test_several_emulators_can_run_at_once(http):
    async with Emulator(small(seed=1)) as one, Emulator(small(seed=2)) as two:
        assert one.url != two.url
        assert one.world.latest() != two.world.latest()

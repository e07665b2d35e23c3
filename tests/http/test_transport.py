"""The rim to the network: what leaves, what comes back, and what never shows."""

import asyncio
import gc
import logging
import ssl
import warnings
import zlib
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from inspect import signature
from itertools import pairwise
from typing import Any
from unittest.mock import Mock

import aiohttp
import anyio
import pytest
import trustme
from aioresponses import CallbackResult, aioresponses
from yarl import URL

import coachstream
from coachstream import (
    AnswerTimeoutError,
    ApiError,
    Client,
    ClosedError,
    CoachStreamError,
    ConnectError,
    ConnectionLostError,
    ForbiddenError,
    InternalServerError,
    InvalidArgumentError,
    PageTooLargeError,
    RateLimits,
    RedirectError,
    RetryPolicy,
    UndecodableError,
    UntrustedCertificateError,
)
from coachstream.emulator import (
    Emulator,
    World,
    cut_short,
    garble,
    hang_up,
    oversize,
    redirect,
    refuse,
    serve,
    stall,
)
from coachstream.http.credentials import Credentials, Secret
from coachstream.telemetry import (
    CacheNoticed,
    CallOverdue,
    LimitLowered,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
)
from tests.support import payloads
from tests.support.crash_reports import everything_shown
from tests.support.emulated import LONG_AGO, TOKEN, feed, most_in_a_second
from tests.support.runtimes import new_runtime
from tests.support.virtual_time import LoopClock, pass_time, virtual

ONCE: dict[str, Any] = {"retry": RetryPolicy(attempts=1)}


async def first(listing):
    return [one async for one in listing]


async def one_page(api, client):
    """Ask for something that takes one request."""
    return await first(client.assignments.list(driver_ids=[next(iter(api.world.assignments))]))


# What leaves


@virtual
async def test_what_a_request_carries():
    async with feed(client={"api_version": "2025-06-11"}) as (api, client, _):
        await first(client.assignments.list())
        headers = api.requests[0].headers
        assert headers["user-agent"].startswith(f"coachstream/{coachstream.__version__} ")
        assert headers["accept"] == "application/json"
        assert headers["x-samsara-version"] == "2025-06-11"
        assert "gzip" in headers["accept-encoding"]
        assert "cookie" not in headers
        assert headers["cache-control"] == "no-cache"


@virtual
async def test_no_cookie_is_kept():
    cookie = {"Set-Cookie": "a=b; Path=/"}
    async with feed(faults=[refuse(503, headers=cookie)]) as (api, _, _):
        url = api.url.replace("127.0.0.1", "localhost")  # jars keep none of an address
        async with Client(TOKEN, base_url=url, clock=LoopClock()) as client:
            await first(client.assignments.list())
        assert [request.status for request in api.requests][:2] == [503, 200]
        assert not any("cookie" in request.headers for request in api.requests)


@virtual
async def test_no_version_is_sent_unless_asked_for():
    async with feed() as (api, client, _):
        await first(client.assignments.list())
        assert "x-samsara-version" not in api.requests[0].headers


@virtual
async def test_the_query_leaves_as_it_was_encoded():
    async with feed() as (api, client, _):
        await first(client.assignments.list(driver_ids=["a~b+c d/%41", "ü"]))
        assert api.requests[0].raw_query == "driverIds=a~b%2Bc%20d%2F%2541%2C%C3%BC"


@pytest.mark.parametrize(
    ("region", "host"),
    [("us", "api.samsara.com"), ("eu", "api.eu.samsara.com"), ("ca", "api.ca.samsara.com")],
)
async def test_each_region_has_its_server(region, host):
    sent = []

    def answer(url, **request):
        sent.append((url, request["allow_redirects"]))
        return CallbackResult(
            payload={"data": [], "pagination": payloads.PAGINATION | {"hasNextPage": False}},
            response_class=_Response,
        )

    with aioresponses() as server:
        server.get(
            f"https://{host}/coaching/driver-coach-assignments", callback=answer, repeat=True
        )
        async with Client(TOKEN, region=region) as client:
            await first(client.assignments.list())
    assert sent == [(URL(f"https://{host}/coaching/driver-coach-assignments"), False)]


class _Response(aiohttp.ClientResponse):
    """Has an argument that aiohttp requires since 3.14, and aioresponses does not know yet."""

    def __init__(self, *args, **kwargs):
        if "stream_writer" in signature(aiohttp.ClientResponse).parameters:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


# What comes back


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (refuse(503), coachstream.ServiceUnavailableError),
        (hang_up(), ConnectionLostError),
        (cut_short(30), ConnectionLostError),
        (stall(), AnswerTimeoutError),
        (garble(), UndecodableError),
        (redirect("http://127.0.0.1:9/elsewhere"), RedirectError),
        (oversize(10_000), PageTooLargeError),
        (oversize(50_000_000), PageTooLargeError),
        (oversize(50_000_000, gzip=True), PageTooLargeError),
        (refuse(204, body=""), UndecodableError),
        (refuse(418), ApiError),
    ],
    ids=lambda value: getattr(value, "kind", None) or value.__name__,
)
def test_every_failure_is_an_error_of_ours(fault, kind):
    @virtual
    async def run():
        async with feed(faults=[fault], client=ONCE | {"max_page_bytes": 5_000}) as (
            api,
            client,
            _,
        ):
            with pytest.raises(kind) as caught:
                await one_page(api, client)
            assert len(api.requests) == 1
            assert TOKEN not in everything_shown(caught.value)
            # The connection is not left in a state that spoils the next answer.
            assert await one_page(api, client)

    run()


@virtual
async def test_nobody_there_is_a_connect_error():
    async with Emulator() as api:
        url = api.url
    async with Client(TOKEN, base_url=url, clock=LoopClock(), **ONCE) as client:
        with pytest.raises(ConnectError) as caught:
            await first(client.assignments.list())
        assert TOKEN not in everything_shown(caught.value)


async def test_a_server_that_does_not_speak_http_is_a_lost_connection():
    async def babble(reader, writer):
        await reader.readline()
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Client(TOKEN, base_url=f"http://127.0.0.1:{port}", **ONCE) as client:
            with pytest.raises(ConnectionLostError) as caught:
                await first(client.assignments.list())
            assert TOKEN not in everything_shown(caught.value)


async def test_a_certificate_nobody_vouches_for_is_refused():
    async def never(reader, writer):
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("aNULL:@SECLEVEL=0")  # no certificate at all
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with await asyncio.start_server(never, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        async with Client(TOKEN, base_url=f"https://127.0.0.1:{port}", **ONCE) as client:
            with pytest.raises(ConnectError):
                await first(client.assignments.list())


@virtual
async def test_a_refusal_tells_all_it_knows():
    faults = [refuse(500, headers={"X-Odd": "1"}, retry_after=3.25)]
    async with feed(faults=faults, client=ONCE) as (_, client, _):
        with pytest.raises(InternalServerError) as caught:
            await first(client.assignments.list())
        error = caught.value
        assert (error.status, error.retry_after, error.headers["x-odd"]) == (500, 3.25, "1")
        assert error.request_id
        assert error.request_id in str(error)
        assert error.body.startswith(b'{"message"')


@virtual
async def test_a_refusal_counts_even_if_its_body_never_comes():
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b'HTTP/1.1 429 Slow\r\nRetry-After: 7.5\r\nContent-Length: 900\r\n\r\n{"message": "Exc'
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        async with Client(TOKEN, base_url=url, clock=LoopClock(), **ONCE) as client:
            with pytest.raises(coachstream.RateLimitError) as caught:
                await first(client.assignments.list())
            assert caught.value.retry_after == 7.5
            assert caught.value.body == b'{"message": "Exc'


@virtual
async def test_a_page_that_says_it_is_too_large_is_not_waited_for():
    world = World(sessions=0, changes_per_hour=0)
    world.add_session(sessionNote="x" * 100_000)
    limits = {"max_page_bytes": 75_000, **ONCE}  # half of the page comes, and then nothing
    async with feed(world, faults=[stall()], gzip=False, client=limits) as (_, client, _):
        began = LoopClock().monotonic()
        with pytest.raises(PageTooLargeError):
            await first(client.sessions.stream(start_time=LONG_AGO))
        assert LoopClock().monotonic() - began < 1


@virtual
async def test_the_servers_time_goes_on_between_its_responses():
    async with feed() as (api, client, _):
        await first(client.assignments.list())
        await pass_time(3600)
        theirs = client._transport.server_now
        assert theirs is not None
        assert 0 <= (api.now - theirs).total_seconds() < 1  # a Date is cut off to seconds


@virtual
async def test_a_call_gives_up_after_its_tries():
    async with feed(faults=[refuse(503)] * 20) as (api, client, events):
        with pytest.raises(coachstream.ServiceUnavailableError):
            await first(client.assignments.list())
        assert len(api.requests) == 8
        assert [e.attempt for e in events if isinstance(e, RetryScheduled)] == list(range(1, 8))


@virtual
async def test_a_dead_connection_is_not_asked_twice_behind_our_back():
    """aiohttp repeats a request on a kept-alive connection that proves dead; here it must not."""
    async with feed(faults=[serve(), hang_up(), hang_up()]) as (api, client, events):
        for _ in range(2):
            await one_page(api, client)
        assert [request.status for request in api.requests] == [200, 0, 0, 200]
        assert sum(isinstance(event, RequestStarted) for event in events) == len(api.requests)


@virtual
async def test_a_redirect_is_not_followed_even_on_the_same_server():
    async with feed(client=ONCE) as (api, client, _):
        api.faults.append(redirect(f"{api.url}/coaching/driver-coach-assignments"))
        with pytest.raises(RedirectError, match="307"):
            await first(client.assignments.list())
        assert len(api.requests) == 1


# The caller's own session


@virtual
async def test_a_session_of_yours_is_used_and_left_open():
    seen = []

    async def middleware(request, handler):
        seen.append(request.url.path)
        return await handler(request)

    async with aiohttp.ClientSession(
        middlewares=[middleware],
        headers={"X-Mine": "1"},
        raise_for_status=True,
        auto_decompress=False,
    ) as http:
        async with feed(client={"http": http}, faults=[hang_up(), refuse(503), serve()]) as (
            api,
            client,
            _,
        ):
            assert await first(client.assignments.list())
            assert api.requests[-1].headers["x-mine"] == "1"
            assert api.requests[-1].headers["accept-encoding"] == "identity"
            assert len(api.requests) == len(seen) > 2
            api.faults.append(refuse(403))
            with pytest.raises(ForbiddenError):
                await first(client.assignments.list())
        assert not http.closed


@virtual
async def test_a_session_of_ours_is_closed():
    async with feed() as (_, client, _):
        await first(client.assignments.list())
        http = client._transport._exchange._http
        assert http is not None
    assert http.closed
    with pytest.raises(coachstream.ClosedError):
        await first(client.assignments.list())


# The token


async def test_the_token_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SAMSARA_API_TOKEN", TOKEN)
    async with Emulator(token=TOKEN) as api, Client(base_url=api.url) as client:
        assert await first(client.assignments.list())


@pytest.mark.parametrize(
    "token",
    ["", "two\x20words", "broken\ntoken", "tab\t", "ключ", " secret", '"quoted"', "Bearer secret"],
)
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(token, monkeypatch):
    with pytest.raises(InvalidArgumentError, match="^token: ") as caught:
        Client(token)
    assert not token.strip() or token.strip() not in str(caught.value)
    monkeypatch.setenv("SAMSARA_API_TOKEN", token)
    with pytest.raises(InvalidArgumentError, match="^token: SAMSARA_API_TOKEN "):
        Client()


def test_no_token_at_all_is_refused_by_name():
    with pytest.raises(InvalidArgumentError, match="SAMSARA_API_TOKEN"):
        Client()
    with pytest.raises(InvalidArgumentError, match="^token: needs a string or an async function"):
        Client(7)  # type: ignore[arg-type]  # that is the point


@virtual
async def test_the_token_is_shown_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    faults = [
        hang_up(),
        refuse(503, body=f"<html>You sent: Authorization: Bearer {TOKEN}"),
        cut_short(9),
        garble(),
        refuse(200, body=f"<html>You sent: Authorization: Bearer {TOKEN}"),
        refuse(400, body=f"no: {TOKEN}", headers={"X-Echo": f"Bearer {TOKEN}"}),
    ]
    async with feed(faults=faults) as (_, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        with pytest.raises(coachstream.BadRequestError) as caught:
            await anext(stream)
        shown = [everything_shown(caught.value), caplog.text]
        for thing in (client, stream, client.sessions, client.assignments, client._transport):
            shown += [repr(thing), str(thing), repr(vars(thing))]
        for event in events:
            shown.append(repr(event))
            if isinstance(event, RetryScheduled):
                shown.append(everything_shown(event.error))
        assert TOKEN not in "\n".join(shown)
        assert caught.value.message == "no: ***"
        assert caught.value.headers["x-echo"] == "Bearer ***"


def test_a_secret_masks_its_repr_and_nothing_else():
    secret = Secret("no-hex")  # as addresses are
    assert repr(secret) == repr([secret])[1:-1] == "'***'"
    assert str(secret) == "no-hex"
    assert repr(secret[:2]) == "'***'"
    credentials = Credentials("no-hex", runtime=new_runtime(), within=1.0)
    assert "no-hex" not in repr(vars(credentials)) + repr(credentials)


# Bad input, refused when the client is made


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("region", "mars"),
        ("base_url", ""),
        ("base_url", "api.samsara.com"),
        ("base_url", "ftp://api.samsara.com"),
        ("base_url", "https://"),
        ("base_url", "https://[::1"),
        ("base_url", "http://api.samsara.com"),
        ("base_url", "http://10.0.0.1:8080"),
        ("base_url", "http://localhost.evil.example"),
        ("base_url", "https://user:secret@api.samsara.com"),
        ("base_url", "https://api.samsara.com?x=1"),
        ("base_url", "https://api.samsara.com#x"),
        ("base_url", 7),
        ("allow_http", 1),
        ("api_version", "2025\r\nX-Evil: 1"),
        ("api_version", ""),
        ("timeout", 0),
        ("retry", 5),
        ("rate_limits", 3),
        ("observer", one_page),
        ("max_page_bytes", "5"),
        ("max_page_bytes", 0),
    ],
)
def test_bad_input_is_refused_by_name(argument, value):
    with pytest.raises(InvalidArgumentError, match=f"^{argument}: ") as caught:
        Client(TOKEN, **{argument: value})
    assert "secret" not in str(caught.value)


def test_a_region_and_a_server_are_one_too_many():
    with pytest.raises(InvalidArgumentError, match="^base_url: "):
        Client(TOKEN, region="eu", base_url="https://api.samsara.com")


@virtual
async def test_a_short_token_is_not_masked_wherever_its_letters_stand():
    body = "invalid or expired pagination cursor"
    async with (
        Emulator(faults=[refuse(400, body=body)]) as api,
        Client("x", base_url=api.url, clock=LoopClock()) as client,
    ):
        with pytest.raises(coachstream.BadRequestError, match=body):
            await first(client.assignments.list())


@virtual
async def test_an_error_names_the_request():
    async with feed(faults=[refuse(403)]) as (_, client, _):
        with pytest.raises(coachstream.ForbiddenError) as caught:
            await client.assignments.assign("1", "2")
        assert str(caught.value).startswith(
            "PUT /coaching/driver-coach-assignments: 403: Permission denied. (check that the token"
        )


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://127.9.9.9/x/", "http://localhost", "http://[::1]:8"]
)
def test_plain_http_is_for_loopback(url):
    assert Client(TOKEN, base_url=url)


def test_plain_http_to_another_machine_is_allowed_by_name_and_warned_of_once(caplog):
    assert Client(TOKEN, base_url="http://emulator:8080", allow_http=True)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("coachstream.requests", "WARNING")
    assert (
        record.getMessage() == "plain HTTP: everyone between here and emulator can read the token"
    )


@pytest.mark.parametrize("url", ["https://samsara.example", "http://127.0.0.1:8080", None])
def test_what_shows_no_token_is_not_warned_of(url, caplog):
    assert Client(TOKEN, base_url=url, allow_http=True)
    assert not caplog.records


@virtual
async def test_the_server_may_come_from_the_environment(monkeypatch):
    async with Emulator() as api:
        monkeypatch.setenv("SAMSARA_BASE_URL", api.url)
        for region in ("us", "eu"):
            async with Client(TOKEN, region=region, clock=LoopClock()) as client:
                assert await one_page(api, client)


def where(**arguments):
    """Return the URL that a client sends its requests to."""
    return Client(TOKEN, **arguments)._transport._url


@pytest.mark.parametrize("there", ["https://from.environment", ""])
def test_an_argument_counts_before_the_environment_and_that_before_the_region(there, monkeypatch):
    monkeypatch.setenv("SAMSARA_BASE_URL", there)
    assert where(base_url="https://given.here") == "https://given.here"
    assert where() == (there or "https://api.samsara.com")
    assert where(region="eu") == (there or "https://api.eu.samsara.com")


@pytest.mark.parametrize("odd", ["samsara", "http://emulator:8080", "https://me:mine@samsara"])
def test_an_odd_server_in_the_environment_is_refused_and_says_where_it_stands(odd, monkeypatch):
    monkeypatch.setenv("SAMSARA_BASE_URL", odd)
    with pytest.raises(InvalidArgumentError, match="^base_url: SAMSARA_BASE_URL: ") as caught:
        Client(TOKEN)
    assert "mine" not in str(caught.value)
    monkeypatch.setenv("SAMSARA_BASE_URL", "http://emulator:8080")
    assert where(allow_http=True) == "http://emulator:8080"


@virtual
async def test_clients_given_one_rate_limits_share_it():
    limits = RateLimits(assignments=1.0)
    async with Emulator(assignments_per_second=1.0) as api:
        arguments: dict[str, Any] = {
            "base_url": api.url,
            "clock": LoopClock(),
            "rate_limits": limits,
        }
        async with Client(TOKEN, **arguments) as one, Client(TOKEN, **arguments) as other:
            tasks = [first(c.assignments.list(driver_ids=["1"])) for c in (one, other) * 3]
            await asyncio.gather(*tasks)
        assert {request.status for request in api.requests} == {200}


async def test_nothing_is_left_when_a_client_was_never_used():
    async with Client(TOKEN):
        pass
    Client(TOKEN)
    gc.collect()
    assert len(asyncio.all_tasks()) == 1


def test_an_unclosed_client_can_be_made_outside_a_loop():
    client = Client(TOKEN)
    assert (
        client.sessions.stream(start_time=datetime(2026, 1, 1, tzinfo=UTC)).position.cursor is None
    )
    assert issubclass(coachstream.ClosedError, CoachStreamError)


# Found by trying to break it


async def test_a_certificate_of_an_unknown_authority_is_refused():
    async def never(reader, writer):
        writer.close()

    authority = trustme.CA()  # which nobody knows
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with await asyncio.start_server(never, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        async with Client(TOKEN, base_url=f"https://localhost:{port}", **ONCE) as client:
            with pytest.raises(
                UntrustedCertificateError, match="^the certificate of localhost is "
            ):
                await first(client.assignments.list())


@virtual
async def test_after_a_429_the_pace_is_halved():
    async with feed(faults=[refuse(429, retry_after=1)]) as (api, client, events):
        await one_page(api, client)
        (lowered,) = [event for event in events if isinstance(event, LimitLowered)]
        assert lowered.pace == 0.5
        before = len(api.requests)
        for _ in range(3):
            await one_page(api, client)
        gaps = [b.at - a.at for a, b in pairwise(list(api.requests)[before:])]
        assert min(gaps) > 0.15  # the full pace would be 0.1


@virtual
async def test_a_halved_pace_keeps_no_request_from_leaving_after_a_quiet_time():
    async with feed(faults=[refuse(429, retry_after=1)] * 4) as (api, client, _):
        await one_page(api, client)
        await pass_time(100)
        asked = LoopClock().monotonic()
        await one_page(api, client)
        assert api.requests[-1].at - asked < 0.01


@virtual
async def test_a_429_makes_others_wait_also_when_its_own_call_gives_up():
    async with feed(faults=[refuse(429, retry_after=30)], client=ONCE) as (api, client, _):
        with pytest.raises(coachstream.RateLimitError):
            await one_page(api, client)
        await one_page(api, client)
        assert api.requests[1].at - api.requests[0].at >= 30


@virtual
async def test_connections_that_take_their_time_do_not_bunch_requests():
    """A turn at the limit is taken before there is a connection; what counts is when it leaves."""
    waits = iter([3.0, 0.0, 2.0, 0.0, 0.0, 1.0] * 20)

    async def slow_to_connect(request, handler):
        await pass_time(next(waits))
        return await handler(request)

    async with (
        aiohttp.ClientSession(middlewares=[slow_to_connect]) as http,
        feed(client={"http": http}) as (api, client, _),
    ):
        await asyncio.gather(*(one_page(api, client) for _ in range(60)))
        assert most_in_a_second([request.at for request in api.requests]) <= 10
        assert {request.status for request in api.requests} == {200}


@virtual
async def test_closing_under_cancellation_closes_all_the_same():
    with anyio.move_on_after(1):
        async with feed() as (_, client, _):
            await first(client.assignments.list())
            http = client._transport._exchange._http
            await anyio.sleep_forever()
    assert http is not None
    assert http.closed


def test_a_refused_token_is_not_shown_by_the_traceback_either():
    with pytest.raises(InvalidArgumentError) as caught:
        Client("secret-token, and another")
    assert "secret-token" not in everything_shown(caught.value)
    with pytest.raises(InvalidArgumentError) as caught:
        Client("secret-token", region="mars")  # type: ignore[arg-type]  # that is the point
    assert "secret-token" not in everything_shown(caught.value)


@virtual
async def test_the_token_is_masked_before_the_body_is_cut():
    body = b"<" * (4096 - 7) + TOKEN.encode()
    async with feed(faults=[refuse(200, body=body)], client=ONCE) as (api, client, _):
        with pytest.raises(UndecodableError) as caught:
            await one_page(api, client)
        assert caught.value.body == (b"<" * (4096 - 7) + b"***")


# A 429, and who waits for it


@virtual
async def test_after_a_429_without_retry_after_everybody_waits_as_long_as_announced():
    async with feed(faults=[refuse(429)]) as (api, client, events):
        tasks = [asyncio.ensure_future(one_page(api, client))]
        await pass_time(0.05)
        tasks += [asyncio.ensure_future(one_page(api, client)) for _ in range(4)]
        await asyncio.gather(*tasks)
        refused, *others = api.requests
        (lowered,) = [event for event in events if isinstance(event, LimitLowered)]
        assert lowered.delay > 0.5
        assert min(request.at for request in others) >= refused.at + lowered.delay


@asynccontextmanager
async def answering(answer):
    """Yield the URL of a server that calls ``answer`` for each request on each connection."""

    async def serve(reader, writer):
        with suppress(asyncio.IncompleteReadError, OSError):  # the client has closed
            while True:
                await answer(await reader.readuntil(b"\r\n\r\n"), writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


PAGE = b'{"data": [], "pagination": {"endCursor": "", "hasNextPage": false}}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)


@virtual
async def test_a_429_makes_others_wait_before_its_body_has_come():
    asked = []

    async def answer(_, writer):
        asked.append(LoopClock().monotonic())
        first_one = len(asked) == 1
        writer.write(
            b"HTTP/1.1 429 Slow\r\nRetry-After: 30\r\nContent-Length: 9\r\n\r\n"
            if first_one
            else GOOD
        )

    limits = RateLimits(assignments=10)
    async with answering(answer) as url:
        arguments: dict[str, Any] = {
            "base_url": url,
            "clock": LoopClock(),
            "rate_limits": limits,
        }
        async with Client(TOKEN, **arguments) as one, Client(TOKEN, **arguments) as other:
            refused = asyncio.ensure_future(first(one.assignments.list()))
            await pass_time(0.5)
            await asyncio.gather(*(first(other.assignments.list()) for _ in range(49)))
            await refused
    assert len(asked) == 51
    assert asked[1] >= 30


@virtual
async def test_a_stream_that_is_always_refused_does_not_starve_the_others():
    async with feed(World(sessions=0, changes_per_hour=0)) as (api, client, _):
        send, told = client._transport._exchange.send, 0.4
        refused_at, served_at = [], []

        async def refusing(method, url, *, token, limiter):
            if method == "PUT":
                refused_at.append(LoopClock().monotonic())
                api.faults.appendleft(refuse(429, retry_after=told))
            else:
                served_at.append(LoopClock().monotonic())
            return await send(method, url, token=token, limiter=limiter)

        client._transport._exchange.send = refusing  # type: ignore[method-assign]  # the rim

        async def poll():
            while True:
                await one_page(api, client)

        polling = asyncio.ensure_future(poll())
        with pytest.raises(coachstream.RateLimitError):
            await client.assignments.unassign(api.world.drivers[0])
        polling.cancel()
        assert len(refused_at) == 8
        # At 1/32 of the rate, a slot comes every 3.3 s.
        assert max(b - a for a, b in pairwise(served_at)) <= told + 32 * 0.102 + 0.1
        assert len(served_at) > 30


@virtual
async def test_a_wait_at_the_limiter_that_hangs_is_reported_and_a_long_one_is_not():
    class Stopping(LoopClock):
        stopped = False

        async def sleep(self, seconds):
            await (asyncio.Event().wait() if self.stopped else super().sleep(seconds))

    clock = Stopping()
    faults = [refuse(429, retry_after=300)]
    async with feed(faults=faults, client={"clock": clock}) as (api, client, events):
        refused = asyncio.ensure_future(one_page(api, client))
        await pass_time(1)
        await asyncio.gather(refused, one_page(api, client))
        assert not [event for event in events if isinstance(event, CallOverdue)]
        client.assignments._limiter.refused(10, sent_at=0, clock=clock)
        clock.stopped = True
        waiting = asyncio.ensure_future(one_page(api, client))
        await pass_time(70)
        (overdue,) = [event for event in events if isinstance(event, CallOverdue)]
        assert overdue.what == "a slot of the rate limiter"
        waiting.cancel()
        await asyncio.wait((waiting,))


@virtual
async def test_a_request_that_outlives_its_time_out_is_abandoned():
    async with feed(client=ONCE | {"timeout": 10}) as (api, client, _):

        async def hang(*_, **__):
            await asyncio.Event().wait()

        client._transport._exchange.send = hang  # type: ignore[method-assign]  # the rim
        with pytest.raises(AnswerTimeoutError, match="after the time-out"):
            await one_page(api, client)
        assert LoopClock().monotonic() < 41


# How long to go on


@virtual
async def test_give_up_after_counts_from_the_first_failure_not_from_the_queue():
    retry = RetryPolicy(give_up_after=10)
    faults = [refuse(429, retry_after=60), hang_up()]
    async with feed(World(sessions=1), faults=faults, client={"retry": retry}) as (api, client, _):
        with pytest.raises(coachstream.RateLimitError):  # a minute is more than ten seconds
            await anext(client.sessions.stream(start_time=LONG_AGO))
        assert await anext(client.sessions.stream(start_time=LONG_AGO))
        assert [request.status for request in api.requests][:3] == [429, 0, 200]
        assert api.requests[1].at >= 60


@virtual
async def test_a_request_held_by_a_pause_is_not_told_that_it_took_too_long():
    connecting = asyncio.Event()

    async def slow_to_connect(request, handler):
        await connecting.wait()
        return await handler(request)

    async with (
        aiohttp.ClientSession(middlewares=[slow_to_connect]) as http,
        feed(client={"http": http, "timeout": 20}) as (api, client, events),
    ):
        held = asyncio.ensure_future(one_page(api, client))
        await pass_time(1)
        now = LoopClock().monotonic()
        client.assignments._limiter.refused(300, sent_at=now, clock=LoopClock())
        connecting.set()
        assert await held
        (request,) = api.requests
        assert request.at >= now + 300
        assert not [event for event in events if isinstance(event, RetryScheduled)]


@virtual
async def test_a_call_raises_rather_than_wait_for_a_day():
    async with feed(faults=[refuse(503, retry_after=86_400)]) as (_, client, _):
        with pytest.raises(
            coachstream.ServiceUnavailableError, match=r"\(retry after 86400 s\)"
        ) as caught:
            await one_page_of(client)
        assert caught.value.retry_after == 86_400
        assert LoopClock().monotonic() < 1


@virtual
async def test_a_call_does_not_wait_for_a_day_at_the_limiter():
    async with feed(faults=[refuse(429, retry_after=86_400)]) as (api, client, _):
        for _ in range(2):
            with pytest.raises(coachstream.RateLimitError, match=r"retry after 86\d+ s") as caught:
                await one_page_of(client)
            assert caught.value.retry_after == pytest.approx(86_400, abs=1)
        assert LoopClock().monotonic() < 1
        assert len(api.requests) == 1
        await pass_time(86_400)
        assert await one_page(api, client)


@virtual
async def test_a_call_that_is_given_up_in_the_queue_says_how_long_the_pause_lasts():
    async with feed() as (_, client, _):
        limiter = client.assignments._limiter
        waiting = [asyncio.ensure_future(one_page_of(client)) for _ in range(5)]
        await pass_time(0.3)
        limiter.refused(86_400, sent_at=0.3, clock=LoopClock())
        late = await asyncio.gather(*waiting, return_exceptions=True)
        late = [one for one in late if isinstance(one, Exception)]
        assert late
        for error in late:
            assert isinstance(error, AnswerTimeoutError)
            assert error.retry_after == pytest.approx(86_400 - 1280, abs=1)


async def one_page_of(client):
    return await first(client.assignments.list())


@virtual
async def test_a_call_gives_up_after_the_given_time():
    retry = RetryPolicy(attempts=1000, give_up_after=60)
    async with feed(faults=[refuse(503)] * 1000, client={"retry": retry}) as (_, client, _):
        with pytest.raises(coachstream.ServiceUnavailableError):
            await one_page_of(client)
        assert LoopClock().monotonic() < 61


# Closing


@pytest.mark.parametrize(
    "fault",
    [refuse(503, retry_after=300), refuse(429, retry_after=300), stall(300)],
    ids=["before a retry", "at the limiter", "for a response"],
)
def test_closing_ends_a_call_that_waits(fault):
    @virtual
    async def run():
        async with feed(faults=[fault]) as (_, client, _):
            waiting = asyncio.ensure_future(client.assignments.assign("1", "2"))
            await pass_time(5)
            await client.aclose()
            with pytest.raises(coachstream.ClosedError):
                await waiting
            assert LoopClock().monotonic() < 6
            with pytest.raises(coachstream.ClosedError):
                await client.assignments.assign("1", "2")

    run()


@virtual
async def test_a_closed_client_waits_neither_for_a_slot_nor_for_a_token():
    async def provider():
        raise AssertionError

    limits = RateLimits()
    limits.assignments.refused(3600.0, sent_at=0.0, clock=LoopClock())
    client = Client(provider, rate_limits=limits, clock=LoopClock())
    await client.aclose()
    with pytest.raises(ClosedError):
        await client.assignments.assign("1", "2")
    with pytest.raises(ClosedError):
        await first(client.assignments.list())
    assert LoopClock().monotonic() < 1


@virtual
async def test_a_cancelled_call_is_cancelled_and_not_told_that_the_client_closed():
    async with feed(faults=[refuse(503, retry_after=300)]) as (_, client, _):
        waiting = asyncio.ensure_future(client.assignments.assign("1", "2"))
        await pass_time(5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


# The token, spelled otherwise


@virtual
async def test_the_token_is_masked_in_what_json_spells_with_escapes():
    token = "secret-token/and+more"
    spelled = token.replace("/", r"\/").replace("+", r"\u002B")
    body = f'{{"message": "you sent {spelled}", "requestId": "{spelled}"}}'
    events: list[coachstream.Event] = []
    async with (
        Emulator(faults=[refuse(400, body=body)]) as api,
        Client(token, base_url=api.url, clock=LoopClock(), observer=events.append) as client,
    ):
        with pytest.raises(coachstream.BadRequestError) as caught:
            await one_page(api, client)
        assert caught.value.message == "you sent ***"
        assert spelled not in everything_shown(caught.value)
        assert token not in everything_shown(caught.value) + repr(events)


@virtual
async def test_what_a_server_sends_for_the_log_is_printable_and_cut():
    odd = "\x1b[2J" + "x" * 4000
    faults = [
        refuse(500, body=odd + "\nforged line", headers={"Request-Id": "\u202e" + "y" * 4000})
    ]
    async with feed(faults=faults, client=ONCE) as (api, client, events):
        with pytest.raises(InternalServerError) as caught:
            await one_page(api, client)
        assert str(caught.value).isprintable()
        (finished,) = [event for event in events if isinstance(event, RequestFinished)]
        assert finished.request_id is not None
        assert finished.request_id.isprintable()
        assert len(finished.request_id) <= 500


# Connections and addresses


@pytest.mark.parametrize("path", ["/", "//"])
def test_a_base_url_may_end_in_a_slash(path):
    @virtual
    async def run():
        async with (
            Emulator() as api,
            Client(TOKEN, base_url=api.url + path, clock=LoopClock()) as client,
        ):
            assert await one_page(api, client)
            assert {request.path for request in api.requests} == {
                "/coaching/driver-coach-assignments"
            }

    run()


@virtual
async def test_a_refusal_whose_body_never_comes_is_raised_soon():
    async def answer(_, writer):
        writer.write(b"HTTP/1.1 403 No\r\nContent-Length: 900\r\n\r\n")

    async with answering(answer) as url, Client(TOKEN, base_url=url, clock=LoopClock()) as client:
        with pytest.raises(coachstream.ForbiddenError):
            await one_page_of(client)
        assert LoopClock().monotonic() < 6


@virtual
async def test_a_connection_that_cannot_be_made_is_a_connect_error_after_ten_seconds(monkeypatch):
    async def never(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    async with Client(TOKEN, base_url="http://127.0.0.1:9", clock=LoopClock(), **ONCE) as client:
        with pytest.raises(ConnectError):
            await one_page_of(client)
        assert 10 <= LoopClock().monotonic() < 12  # aiohttp rounds up


# A session of the caller's, with ways of its own


OWN: dict[str, dict[str, Any]] = {
    "auth": {"auth": ("me", "mine")},
    "a header": {"headers": {"Authorization": "Basic mine"}},
    "a netrc": {"trust_env": True},
}


@asynccontextmanager
async def session_with(own):
    """Yield an aiohttp session with credentials, as aiohttp names them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # which is still allowed
        auth = {"auth": aiohttp.BasicAuth(*own["auth"])} if "auth" in own else {}
        http = aiohttp.ClientSession(**(own | auth))
    async with http:
        yield http


@pytest.fixture
def netrc(monkeypatch, tmp_path):
    """A netrc for this machine."""
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(path))
    return path


@pytest.mark.parametrize(
    ("own", "user"),
    [
        ("auth", "me"),
        ("a header", "me"),
        ("a netrc", "me"),
        ("a netrc", "me:2"),
        ("a netrc", "ключ"),
    ],
)
def test_our_token_replaces_a_sessions_own_credentials(own, user, netrc):
    netrc.write_text(f"machine 127.0.0.1 login {user} password mine\n")  # not all can be sent

    @virtual
    async def run():
        heads = []

        async def answer(head, writer):
            heads.append(head)
            writer.write(GOOD)

        async with (
            session_with(OWN[own]) as http,
            answering(answer) as url,
            Client(TOKEN, base_url=url, http=http, clock=LoopClock()) as client,
        ):
            await first(client.assignments.list(driver_ids=["a+b c"]))
        (head,) = heads
        line, *headers = head.strip().split(b"\r\n")
        assert line.split()[1].endswith(b"?driverIds=a%2Bb%20c")
        assert [one for one in headers if b"uthorization" in one] == [
            f"Authorization: Bearer {TOKEN}".encode()
        ]

    run()


@pytest.mark.parametrize(
    "other",
    [
        "auth",
        pytest.param(
            "a netrc",
            marks=pytest.mark.skipif(
                not hasattr(aiohttp.ClientSession, "_get_netrc_auth"),
                reason="this aiohttp lets a netrc replace the header, and ours replaces both",
            ),
        ),
    ],
)
@pytest.mark.usefixtures("netrc")
def test_a_session_with_which_aiohttp_sends_nothing_is_refused_by_name(other):
    @virtual
    async def run():
        async with (
            session_with(OWN["a header"] | OWN[other]) as http,
            Emulator(token=TOKEN) as api,
            Client(TOKEN, base_url=api.url, http=http, clock=LoopClock()) as client,
        ):
            with pytest.raises(InvalidArgumentError, match=r"^http: .*credentials") as caught:
                await one_page(api, client)
            assert "mine" not in everything_shown(caught.value)
            assert not api.requests

    run()


@virtual
async def test_a_compressed_body_that_the_session_leaves_compressed_is_called_so():
    body = zlib.compress(PAGE)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n"

    async def answer(_, writer):
        writer.write(head % len(body) + body)

    async with (
        aiohttp.ClientSession(auto_decompress=False) as http,
        answering(answer) as url,
        Client(TOKEN, base_url=url, http=http, clock=LoopClock()) as client,
    ):
        with pytest.raises(InvalidArgumentError, match=r"^http: .*auto_decompress.*\(deflate\)"):
            await anext(client.sessions.stream(start_time=LONG_AGO))


# Responses from a cache

EMPTY = payloads.page(endCursor="c", hasNextPage=False).decode()


def stored(age):
    return refuse(200, body=EMPTY, headers={"Age": age})


@virtual
async def test_health_says_that_responses_come_from_a_cache_and_the_log_says_so_once():
    faults = [stored("0"), stored("60"), stored("120"), refuse(200, body=EMPTY), stored("1")]
    async with feed(faults=faults) as (_, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        seen, pages = [], stream.pages()
        for _ in faults:
            await anext(pages)
            seen.append(stream.health.from_cache)
        assert seen == [False, True, True, False, True]
        finished = [one.from_cache for one in events if isinstance(one, RequestFinished)]
        assert finished == seen
        assert sum(isinstance(one, CacheNoticed) for one in events) == 2


@virtual
async def test_a_session_that_marks_what_it_has_stored_is_a_cache():
    async def mark(request, handler):
        response = await handler(request)
        response.from_cache = True
        return response

    async with (
        aiohttp.ClientSession(middlewares=[mark]) as http,
        feed(client={"http": http}, faults=[refuse(200, body=EMPTY)]) as (_, client, _events),
    ):
        stream = client.sessions.stream(start_time=LONG_AGO)
        await anext(stream.pages())
        assert stream.health.from_cache


@virtual
async def test_the_date_of_a_stored_response_is_not_the_servers_time():
    old = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT", "Age": "9"}
    async with feed(faults=[refuse(200, body=EMPTY, headers=old)]) as (_, client, _):
        await anext(client.sessions.stream(start_time=LONG_AGO).pages())
        assert client._transport.server_now is None


def test_a_session_of_another_event_loop_is_refused_by_name():
    with asyncio.Runner() as runner:
        http = runner.run(new_session())
        with (
            asyncio.Runner() as other,
            pytest.raises(InvalidArgumentError, match="^http: .* event loop"),
        ):
            other.run(one_page_of(Client(TOKEN, http=http)))
        runner.run(http.close())


async def test_a_closed_session_is_refused_by_name_at_once():
    http = await new_session()
    await http.close()
    with pytest.raises(InvalidArgumentError, match="^http: .* closed"):
        Client(TOKEN, http=http)


async def new_session():
    return aiohttp.ClientSession()

"""Permanent failures: a clear error without the token, and the token is not sent."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest

from coachstream import (
    Client,
    ConnectError,
    RedirectError,
    RetryPolicy,
    UntrustedCertificateError,
)
from coachstream.emulator import Emulator, World
from coachstream.telemetry import CursorExpired, PageRead, RetryScheduled
from tests.chaos.certificates import Certificates
from tests.chaos.redirect_target import RedirectTarget
from tests.support.crash_reports import everything_in_events, everything_shown
from tests.support.emulated import LONG_AGO, TOKEN, feed, key
from tests.support.virtual_time import LeapingClock, LoopClock, virtual


class Server:
    """A server that is not the API."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.received = b""
        self._greeting = greeting
        self._connections: list[asyncio.Future[None]] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.append(task)
        try:
            self.received += await reader.read(10_000)
            writer.write(self._greeting)
            self.received += await reader.read()
        except OSError:
            pass  # the client has closed
        finally:
            writer.close()

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext | None) -> AsyncIterator[int]:
        """Listen, and yield the port."""
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context) as server:
            yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*self._connections)


@asynccontextmanager
async def client_of(url, observer=lambda event: None) -> AsyncIterator[Client]:
    """Yield a client for a URL that trusts our authority."""
    connector = aiohttp.TCPConnector(ssl=Certificates.shared().client)
    policy = RetryPolicy(attempts=2, give_up_after=100)
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        Client(
            TOKEN, base_url=url, http=http, retry=policy, clock=LoopClock(), observer=observer
        ) as client,
    ):
        yield client


async def check_all_calls_fail(client, kind, match, events):
    """Make each kind of call; each must fail with the error."""
    for call in (
        anext(client.sessions.stream(start_time=LONG_AGO)),
        anext(client.assignments.list()),
        client.assignments.assign("1", "2"),
        client.assignments.unassign("1"),
    ):
        with pytest.raises(kind, match=match) as caught:
            await call
        assert TOKEN not in everything_shown(caught.value)
    assert TOKEN not in everything_in_events(events)


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("certificate_expired", "certificate has expired"),
        ("certificate_of_another_host", "mismatch"),
        ("certificate_of_an_unknown_authority", "unable to get local issuer certificate"),
    ],
)
def test_an_invalid_certificate_is_reported_and_nothing_is_sent(which, words):
    @virtual
    async def run():
        server, events = Server(), []
        # By address, as localhost would be resolved in a thread, for which virtual time can't wait.
        async with (
            server.listening(Certificates.shared().server(which)) as port,
            client_of(f"https://127.0.0.1:{port}", events.append) as client,
        ):
            match = f"^the certificate of 127.0.0.1 is not trusted: .*{words}"
            await check_all_calls_fail(client, UntrustedCertificateError, match, events)
            stream = client.sessions.stream(start_time=LONG_AGO)
            with pytest.raises(UntrustedCertificateError):
                await anext(stream)
            last_error = stream.health.last_error
            assert last_error is not None
            assert last_error.startswith("UntrustedCertificateError: the certificate of 127.0.0.1")
        assert server.received == b""
        assert any(isinstance(event, RetryScheduled) for event in events)

    run()


@virtual
async def test_nothing_is_sent_to_a_server_without_tls():
    server, events = Server(b"HTTP/1.1 400 Bad Request\r\n\r\n"), []
    async with (
        server.listening(None) as port,
        client_of(f"https://127.0.0.1:{port}", events.append) as client,
    ):
        await check_all_calls_fail(client, ConnectError, "WRONG_VERSION_NUMBER", events)
    assert server.received
    assert b"/coaching" not in server.received
    assert TOKEN.encode() not in server.received


@virtual
async def test_a_redirect_from_https_to_http_is_not_followed():
    redirect_target, events = RedirectTarget(), []
    await redirect_target.open()
    server = Server(
        b"HTTP/1.1 307 There\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"
        % redirect_target.url.encode()
    )
    async with (
        server.listening(Certificates.shared().server()) as port,
        client_of(f"https://127.0.0.1:{port}", events.append) as client,
    ):
        await check_all_calls_fail(client, RedirectError, "307.*base_url", events)
    await redirect_target.close()
    assert TOKEN.encode() in server.received
    assert redirect_target.received == []


@virtual
async def test_a_clock_that_jumps_while_following_loses_and_repeats_nothing():
    clock, delivered = LeapingClock(), []
    world = World(3, drivers=3, sessions=6, changes_per_hour=0)
    async with feed(world, client={"clock": clock}, page_size=2) as (api, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        delivered += [key(await anext(stream)) for _ in range(6)]
        for days in (3, -400, 40, -40, 35, 1000):
            clock.leapt += timedelta(days=days)
            world.add_session()
            delivered.append(key(await anext(stream)))
            assert stream.health.state in {"idle", "following"}
        assert delivered == [one for one in world.versions() if one in world.latest()]
        deaths = [event for event in events if isinstance(event, CursorExpired)]
        assert len(deaths) == 3, "one per jump beyond the lifetime of the current cursor"
        assert not any(isinstance(event, RetryScheduled) for event in events)
        request_times = [request.at for request in api.requests]
        assert len(request_times) < 40
        assert sum(event.repeated for event in events if isinstance(event, PageRead)) < 40


@virtual
async def test_an_emulator_that_is_gone_is_reported():
    async with Emulator(World(sessions=0, changes_per_hour=0)) as api:
        url = api.url
    events: list[object] = []
    policy = RetryPolicy(attempts=2, give_up_after=100)
    async with Client(
        TOKEN, base_url=url, retry=policy, clock=LoopClock(), observer=events.append
    ) as client:
        await check_all_calls_fail(client, ConnectError, "Cannot connect to host 127.0.0.1", events)

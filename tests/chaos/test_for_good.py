"""What does not get better by itself: a clear error, without the token, and nothing sent."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest

from coachstream import Client, ConnectError, RedirectError, RetryPolicy
from coachstream.emulator import Emulator, World
from coachstream.telemetry import CursorDied, PageRead, RetryScheduled
from tests.chaos.certificates import Certificates
from tests.chaos.trap import Trap
from tests.support.emulated import LONG_AGO, TOKEN, feed, key
from tests.support.secrecy import everything_shown, everything_told
from tests.support.virtual_time import LeapingClock, LoopClock, virtual


class Server:
    """Something that is not the API."""

    def __init__(self, says: bytes = b"") -> None:
        self.heard = b""
        self._says = says
        self._talks: list[asyncio.Future[None]] = []

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.append(task)
        try:
            self.heard += await reader.read(10_000)
            writer.write(self._says)
            self.heard += await reader.read()
        except OSError:
            pass  # the client has left
        finally:
            writer.close()

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext | None) -> AsyncIterator[int]:
        """Yield the port."""
        async with await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=context) as server:
            yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*self._talks)


@asynccontextmanager
async def asking(url, tell=lambda event: None) -> AsyncIterator[Client]:
    """Yield a client of an address that knows our authority."""
    connector = aiohttp.TCPConnector(ssl=Certificates.once().client)
    policy = RetryPolicy(attempts=2, give_up_after=100)
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        Client(
            TOKEN, base_url=url, http=http, retry=policy, clock=LoopClock(), observer=tell
        ) as client,
    ):
        yield client


async def refused_by_all(client, kind, match, events):
    """Ask in each way there is; each must fail with that error."""
    for ask in (
        anext(client.sessions.stream(start_time=LONG_AGO)),
        anext(client.assignments.list()),
        client.assignments.assign("1", "2"),
        client.assignments.unassign("1"),
    ):
        with pytest.raises(kind, match=match) as caught:
            await ask
        assert TOKEN not in everything_shown(caught.value)
    assert TOKEN not in everything_told(events)


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("certificate_expired", "certificate has expired"),
        ("certificate_of_another_host", "mismatch"),
        ("certificate_of_an_unknown_authority", "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_a_certificate_that_stays_bad_is_named_and_sent_nothing(which, words):
    @virtual
    async def run():
        server, events = Server(), []
        # By address: the name of localhost would be looked up in a thread, which time can't await.
        async with (
            server.listening(Certificates.once().server(which)) as port,
            asking(f"https://127.0.0.1:{port}", events.append) as client,
        ):
            await refused_by_all(client, ConnectError, words, events)
        assert server.heard == b""
        assert any(isinstance(event, RetryScheduled) for event in events)

    run()


@virtual
async def test_a_server_without_tls_is_sent_nothing():
    server, events = Server(b"HTTP/1.1 400 Bad Request\r\n\r\n"), []
    async with (
        server.listening(None) as port,
        asking(f"https://127.0.0.1:{port}", events.append) as client,
    ):
        await refused_by_all(client, ConnectError, "WRONG_VERSION_NUMBER", events)
    assert server.heard
    assert b"/coaching" not in server.heard
    assert TOKEN.encode() not in server.heard


@virtual
async def test_a_redirect_from_https_to_http_takes_nothing_there():
    trap, events = Trap(), []
    await trap.open()
    server = Server(
        b"HTTP/1.1 307 There\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % trap.url.encode()
    )
    async with (
        server.listening(Certificates.once().server()) as port,
        asking(f"https://127.0.0.1:{port}", events.append) as client,
    ):
        await refused_by_all(client, RedirectError, "307.*base_url", events)
    await trap.close()
    assert TOKEN.encode() in server.heard
    assert trap.caught == []


@virtual
async def test_a_clock_that_leaps_while_a_feed_is_followed_costs_and_repeats_nothing():
    clock, got = LeapingClock(), []
    world = World(3, drivers=3, sessions=6, changes_per_hour=0)
    async with feed(world, client={"clock": clock}, page_size=2) as (api, client, events):
        stream = client.sessions.stream(start_time=LONG_AGO)
        got += [key(await anext(stream)) for _ in range(6)]
        for days in (3, -400, 40, -40, 35, 1000):
            clock.leapt += timedelta(days=days)
            world.add_session()
            got.append(key(await anext(stream)))
            assert stream.health.state in {"idle", "following"}
        assert got == [one for one in world.versions() if one in world.latest()]
        deaths = [event for event in events if isinstance(event, CursorDied)]
        assert len(deaths) == 3, "the leaps beyond the life of the cursor in use"
        assert not any(isinstance(event, RetryScheduled) for event in events)
        asked = [request.at for request in api.requests]
        assert len(asked) < 40
        assert sum(event.repeated for event in events if isinstance(event, PageRead)) < 40


@virtual
async def test_an_emulator_that_has_gone_is_told_of_as_that():
    async with Emulator(World(sessions=0, changes_per_hour=0)) as api:
        url = api.url
    events: list[object] = []
    policy = RetryPolicy(attempts=2, give_up_after=100)
    async with Client(
        TOKEN, base_url=url, retry=policy, clock=LoopClock(), observer=events.append
    ) as client:
        await refused_by_all(client, ConnectError, "Cannot connect to host 127.0.0.1", events)

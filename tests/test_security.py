"""Attacks, and mistakes of careless proxies.

Other tests of security: bad URLs, masked errors and redirects are in tests/http; certificates, and
servers that repeat the request, in tests/chaos; files of stores, with the stores; odd ids, in
test_injection.py. tests/support/leaks.py searches the output of all tests for the token.
"""

import asyncio
import os
import socket
import stat
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from coachstream import (
    Client,
    CoachStreamError,
    FailedSession,
    FileLedger,
    PageTooLargeError,
    RetryPolicy,
    ServiceUnavailableError,
)
from coachstream.checkpoints import FileStore
from coachstream.emulator import Emulator, World, refuse
from tests.contracts.positions import position
from tests.support.crash_reports import everything_shown
from tests.support.emulated import LONG_AGO, TOKEN, feed
from tests.support.leaks import leaks
from tests.support.virtual_time import LoopClock, virtual

MEBIBYTE = 1 << 20

# Bodies that would need too much memory


@asynccontextmanager
async def server_of(head: bytes, body: bytes = b"", *, repeat: int = 1) -> AsyncIterator[str]:
    """Yield the URL of a server that always sends the same response."""
    connections: list[asyncio.Future[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.append(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head + b"\r\n")
            for _ in range(repeat):
                writer.write(body)
                await writer.drain()
            await reader.read()
        except OSError:
            pass  # the client has closed
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await asyncio.gather(*connections)


@cache
def bomb(wbits: int) -> bytes:
    """Return 300 MiB of blanks, compressed."""
    compressor = zlib.compressobj(1, wbits=wbits)
    blanks = b" " * MEBIBYTE
    return b"".join([*(compressor.compress(blanks) for _ in range(300)), compressor.flush()])


GZIP, ZLIB, BARE = 31, 15, -15


@pytest.mark.parametrize(
    ("status", "encoding", "wbits", "kind"),
    [
        (200, b"gzip", GZIP, PageTooLargeError),
        (200, b"deflate", ZLIB, PageTooLargeError),
        (200, b"deflate", BARE, PageTooLargeError),
        (503, b"gzip", GZIP, ServiceUnavailableError),
        (503, b"deflate", ZLIB, ServiceUnavailableError),
        (200, b"", 0, PageTooLargeError),
        (503, b"", 0, ServiceUnavailableError),
    ],
)
async def test_a_body_takes_little_more_memory_than_allowed(status, encoding, wbits, kind):
    head = b"HTTP/1.1 %d Odd\r\nConnection: close\r\n" % status
    if encoding:
        head += b"Content-Encoding: %b\r\n" % encoding
    body = bomb(wbits) if encoding else bytes(MEBIBYTE // 4)
    async with (
        server_of(head, body, repeat=1 if encoding else 800) as url,
        Client(
            TOKEN, base_url=url, max_page_bytes=MEBIBYTE, retry=RetryPolicy(attempts=1)
        ) as client,
    ):
        tracemalloc.start()
        try:
            with pytest.raises(kind) as caught:
                await client.assignments.unassign("1")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # Some releases of aiohttp decompress all of a 64 KiB read at once.
        assert peak < (100 if encoding else 12) * MEBIBYTE
        assert len(getattr(caught.value, "body", b"")) <= 4096


# Files that only their owner can read


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
async def test_only_the_owner_can_read_the_files_whatever_the_umask(tmp_path, mask):
    failed = FailedSession(
        consumer="payroll",
        outcome="parked",
        session_id="1",
        updated_at_time=None,
        error="ValueError: no",
        attempts=5,
        failed_at=datetime(2026, 3, 1, tzinfo=UTC),
        raw="{}",
    )
    before = os.umask(mask)
    try:
        await FileLedger(tmp_path / "failed.jsonl").add(failed)
        async with FileStore(tmp_path / "checkpoints") as store:
            await store.save("payroll", position(), after=0)
            await store.save("payroll", position("c"), after=1)
    finally:
        os.umask(before)
    assert mode(tmp_path / "failed.jsonl") == 0o600
    assert mode(tmp_path / "checkpoints") == 0o700
    stored = list((tmp_path / "checkpoints").iterdir())
    assert len(stored) == 3
    assert {mode(path) for path in stored} == {0o600}


# The emulator


async def test_the_emulator_listens_on_loopback_by_default():
    async with Emulator(World(sessions=0, changes_per_hour=0)) as api:
        assert api._runner is not None
        (site,) = api._runner.sites
        sockets = site._server.sockets  # type: ignore[union-attr]  # it listens
        assert {one.getsockname()[0] for one in sockets} == {"127.0.0.1"}
        port = sockets[0].getsockname()[1]
        with socket.socket() as elsewhere:  # the port is free on every other address
            elsewhere.bind(("127.0.0.2", port))
    async with Emulator(World(sessions=0, changes_per_hour=0), host="::1") as api:
        assert api.url.startswith("http://[::1]:")


# The token


@virtual
async def test_the_token_is_in_no_checkpoint_and_no_crash_report():
    faults = [refuse(503, body=f"you sent {TOKEN}"), refuse(400, body=f"you sent {TOKEN}")]
    stored: dict[str, bytes] = {}
    world = World(1, drivers=2, sessions=5, changes_per_hour=0)
    async with feed(world, page_size=2, token=TOKEN) as (api, client, _):
        async with client.sessions.stream(start_time=LONG_AGO, name="it", store=stored) as stream:
            for _ in range(3):
                await anext(stream)
            api.faults.extend(faults * 3)  # a refusal is asked about twice more
            with pytest.raises(CoachStreamError) as caught:
                [one async for one in stream]
        assert not leaks(everything_shown(caught.value))
    assert stored
    assert not any(leaks(value.decode()) for value in stored.values())


async def test_the_search_for_the_token_includes_variables_and_causes():
    def fail(hidden):
        raise ValueError("harmless text")

    error = None
    try:
        try:
            fail(TOKEN)
        except ValueError as cause:
            raise KeyError("more harmless text") from cause
    except KeyError as caught:
        error = caught
    assert error is not None
    # Frames of tests are left out, as tests know the token.
    assert not leaks(everything_shown(error))
    elsewhere = compile("def fail(hidden): raise ValueError('harmless')", "/elsewhere.py", "exec")
    names: dict[str, object] = {}
    exec(elsewhere, names)  # noqa: S102  # a frame outside of the tests
    with pytest.raises(ValueError, match="harmless") as caught_there:
        names["fail"](TOKEN)  # type: ignore[operator]  # it is a function
    assert leaks(everything_shown(caught_there.value))


@virtual
async def test_a_redirect_sends_nothing_to_its_target():
    received = []

    async def catch(reader, writer):
        received.append(await reader.read(1000))
        writer.close()

    async with await asyncio.start_server(catch, "127.0.0.1", 0) as target:
        target_url = f"http://127.0.0.1:{target.sockets[0].getsockname()[1]}/"
        for status in (301, 302, 303, 307, 308):
            head = b"HTTP/1.1 %d There\r\nLocation: %b\r\n" % (status, target_url.encode())
            async with (
                server_of(head + b"Content-Length: 0\r\n") as url,
                Client(TOKEN, base_url=url, clock=LoopClock()) as client,
            ):
                with pytest.raises(CoachStreamError, match=f"{status}"):
                    await client.assignments.unassign("1")
                with pytest.raises(CoachStreamError, match=f"{status}"):
                    await anext(client.sessions.stream(start_time=LONG_AGO))
    assert received == []

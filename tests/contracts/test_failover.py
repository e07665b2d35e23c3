"""A server is replaced behind its address: consumers go on, and nothing is lost.

``COACHSTREAM_FAILOVERS=10`` replaces PostgreSQL ten times.
"""

import asyncio
import os
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest

from coachstream import Client, RateLimits, RetryPolicy, StoreError, SystemClock, consume
from coachstream.checkpoints import PostgresStore, opened, postgres, redis
from coachstream.emulator import Emulator, World
from tests.contracts.positions import position
from tests.support.emulated import LONG_AGO, TOKEN, key
from tests.support.forwarder import Forwarder
from tests.support.servers import (
    binary,
    driver,
    make_postgres,
    running_postgres,
    running_redis,
    server_user,
    temporary_directory,
)

asyncpg = driver("asyncpg")
pytestmark = pytest.mark.service

FAILOVERS = int(os.environ.get("COACHSTREAM_FAILOVERS", "2"))


IMPATIENT = RetryPolicy(first_delay=0.1, max_delay=0.2)


class Cluster:
    """A primary and a replica of PostgreSQL behind one address."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._all = ExitStack()
        self._primary = self._replica = ExitStack()
        self.url = ""

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._all.close)

    @property
    def address(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._forwarder.port}/postgres"

    async def fail_over(self, how: str) -> None:
        """Replace the primary; ``how``: it is demoted, stopped, or out of reach."""
        replica_url = await asyncio.to_thread(self._add_replica)
        if how == "stopped":
            self._forwarder.target = None
            await asyncio.to_thread(self._primary.close)
        else:
            await self._run(self.url, "ALTER SYSTEM SET default_transaction_read_only = on")
            await self._run(self.url, "SELECT pg_reload_conf()")
            await self._caught_up(replica_url)
        self._forwarder.target = urlsplit(replica_url).port
        if how == "out of reach":
            self._forwarder.freeze()
        assert await self._run(replica_url, "SELECT pg_promote()")
        self.url, self._primary = replica_url, self._replica

    async def _caught_up(self, replica_url: str) -> None:
        written = await self._run(self.url, "SELECT pg_current_wal_lsn()::text")
        behind = f"SELECT pg_wal_lsn_diff('{written}', pg_last_wal_replay_lsn()) > 0"
        while await self._run(replica_url, behind):
            await asyncio.wait([asyncio.ensure_future(self._run(replica_url, "SELECT 1"))])

    async def _run(self, url: str, query: str) -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    def _start(self) -> None:
        directory = self._all.enter_context(temporary_directory(server_user()))
        make_postgres(directory)
        self._primary, self.url = self._run_server(directory)
        self._forwarder.target = urlsplit(self.url).port

    def _add_replica(self) -> str:
        directory = self._all.enter_context(temporary_directory(server_user()))
        options = ["--no-sync", "--checkpoint=fast", "--write-recovery-conf"]
        command = [binary("pg_basebackup"), "-d", self.url, "-D", str(directory / "data"), *options]
        subprocess.run(command, check=True, capture_output=True, user=server_user(), cwd=directory)
        # The primary may be read-only by setting, which is copied.
        settings = directory / "data" / "postgresql.auto.conf"
        kept = [one for one in settings.read_text().splitlines() if "read_only" not in one]
        settings.write_text("\n".join(kept) + "\n")
        self._replica, url = self._run_server(directory)
        return url

    def _run_server(self, directory: Path) -> tuple[ExitStack, str]:
        server = self._all.enter_context(ExitStack())
        return server, server.enter_context(running_postgres(directory))


class Recorder:
    """Records what is handled, and knows when it is all."""

    def __init__(self, api: Emulator) -> None:
        self._api = api
        self.handled: list[tuple[str, str]] = []

    async def __call__(self, session) -> None:
        self.handled.append(key(session))

    @property
    def complete(self) -> bool:
        return set(self.handled) >= set(self._api.world.latest())


async def until(condition) -> None:
    """Wait for what real servers and clients do."""
    async with asyncio.timeout(30):
        while not await condition():
            await SystemClock().sleep(0.02)


@pytest.mark.timeout(20 * FAILOVERS)
async def test_consumers_go_on_after_each_failover_of_postgres(monkeypatch):
    monkeypatch.setattr(postgres, "TIMEOUT", 1.0)  # by which a silent server is found out
    world = World(sessions=40, changes_per_hour=0)
    async with (
        Emulator(world, sessions_per_second=None) as api,
        Client(
            TOKEN, base_url=api.url, rate_limits=RateLimits(sessions=None), retry=IMPATIENT
        ) as client,
        Forwarder() as forwarder,
        Cluster(forwarder) as cluster,
    ):
        by_callback, by_loop = Recorder(api), Recorder(api)
        consumed = client.sessions.stream(start_time=LONG_AGO, poll_interval=0.1)
        store = cluster.address
        consuming = asyncio.ensure_future(
            consume(consumed, by_callback, name="consumer", store=store)
        )
        looped = client.sessions.stream(
            start_time=LONG_AGO, poll_interval=0.1, name="loop", store=store
        )

        async def follow() -> None:
            async for session in looped:
                await by_loop(session)

        looping = asyncio.ensure_future(follow())

        async def both_have_saved_all() -> bool:
            async with PostgresStore(cluster.url) as there:
                found = [await there.load("consumer"), await there.load("loop")]
            places = [one.position for one in found if one is not None]
            saved = [len(place.settled) + len(place.recent) for place in places]
            wanted = len(world.latest())
            for task in (consuming, looping):
                if task.done():
                    task.result()
            return by_callback.complete and by_loop.complete and saved >= [wanted] * 2

        await until(both_have_saved_all)
        for number in range(FAILOVERS):
            how = ("demoted", "stopped", "out of reach")[number % 3]
            api.world.add_session()
            await cluster.fail_over(how)
            api.world.add_session()
            await until(both_have_saved_all)
        await looped.aclose()
        await looping
        await consumed.aclose()
        report = await consuming
        for recorder in (by_callback, by_loop):
            assert sorted(recorder.handled) == sorted(world.latest())
        assert report.handled == len(world.latest())


@pytest.fixture(params=["postgres", "redis"])
def url(request):
    """The URL of a server that falls silent."""
    return urlsplit(request.getfixturevalue(f"{request.param}_server"))


async def test_a_server_that_falls_silent_is_left_for_what_its_address_leads_to_now(
    url, monkeypatch
):
    monkeypatch.setattr(postgres, "TIMEOUT", 0.3)
    monkeypatch.setattr(redis, "TIMEOUT", 0.3)
    async with Forwarder(url.port) as forwarder:
        address = url.geturl().replace(f":{url.port}", f":{forwarder.port}")
        async with opened(address) as store:
            await store.save("silent", position("c1"), after=0)
            for revision in (1, 2, 3):
                forwarder.freeze()
                await until_saved(store, "silent", revision)


async def until_saved(store, name, revision):
    """Save, however often that fails."""
    for _ in range(5):
        with suppress(StoreError):
            await store.save(name, position(f"c{revision + 1}"), after=revision)
            return
    raise AssertionError("it fails again and again")


async def test_a_store_goes_on_with_the_new_master_of_redis():
    with running_redis() as one, running_redis() as other:
        ports = [urlsplit(url).port for url in (one, other)]
        async with (
            Forwarder(ports[0]) as forwarder,
            driver("redis.asyncio").from_url(one) as first,
            driver("redis.asyncio").from_url(other) as second,
            opened(f"redis://127.0.0.1:{forwarder.port}") as store,
        ):
            await store.save("payroll", position("c1"), after=0)
            await first.config_set("repl-diskless-sync-delay", 0)
            await second.replicaof("127.0.0.1", ports[0])

            async def replicated() -> bool:
                return bool(await second.exists("coachstream:checkpoint:payroll"))

            await until(replicated)
            await second.replicaof("NO", "ONE")
            await first.replicaof("127.0.0.1", ports[1])
            forwarder.target = ports[1]
            with pytest.raises(StoreError, match="read only replica"):
                await store.save("payroll", position("c2"), after=1)
            assert (await store.save("payroll", position("c2"), after=1)).revision == 2
            assert await second.hget("coachstream:checkpoint:payroll", "revision") == b"2"


@pytest.fixture(params=["postgres", "redis", "nats"])
def late(request):
    """The URL of a server that comes up later than the consumer."""
    return urlsplit(request.getfixturevalue(f"{request.param}_server"))


async def test_a_store_that_comes_up_later_is_waited_for(late):
    async with (
        Emulator(World(sessions=40, changes_per_hour=0), sessions_per_second=None) as api,
        Client(
            TOKEN, base_url=api.url, rate_limits=RateLimits(sessions=None), retry=IMPATIENT
        ) as client,
        Forwarder() as forwarder,
    ):
        store = late.geturl().replace(f":{late.port}", f":{forwarder.port}")
        handler = Recorder(api)
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=api.now)
        consuming = asyncio.ensure_future(consume(stream, handler, name="late", store=store))

        async def asked() -> bool:
            return forwarder.accepted > 0 or consuming.done()

        await until(asked)
        assert not handler.handled
        forwarder.target = late.port
        report = await consuming
        assert report.handled == 40

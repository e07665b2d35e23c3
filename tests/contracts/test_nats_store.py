"""What the NATS store promises beyond what every store does."""

import asyncio
import itertools
from contextlib import ExitStack

import pytest

from coachstream.checkpoints import NatsStore
from coachstream.checkpoints import nats as module
from coachstream.errors import (
    InvalidArgumentError,
    StaleCheckpointError,
    StoreError,
    StoreRefusedError,
)
from tests.contracts.positions import cursor_in, position
from tests.support.servers import driver, free_port, running_nats

nats = driver("nats")
NoStreamResponseError = driver("nats.js.errors").NoStreamResponseError
pytestmark = pytest.mark.service

_numbers = itertools.count(1)


@pytest.fixture
def bucket() -> str:
    return f"nats-test-{next(_numbers)}"


@pytest.fixture
async def client(nats_server):
    one = await nats.connect(nats_server)
    yield one
    await one.close()


async def test_a_client_of_yours_stays_open(client, bucket):
    async with NatsStore(client, bucket=bucket) as store:
        await store.save("payroll", position(), after=0)
    assert client.is_connected


async def test_the_bucket_is_created_with_file_storage(client, bucket):
    store = NatsStore(client, bucket=bucket)
    assert await store.load("payroll") is None
    status = await (await client.jetstream().key_value(bucket)).status()
    assert status.history == 1
    assert status.stream_info.config.storage == "file"


async def test_many_stores_may_create_the_bucket_at_once(nats_server, bucket):
    stores = [NatsStore(nats_server, bucket=bucket) for _ in range(6)]
    saves = (store.save(f"name {n}", position(), after=0) for n, store in enumerate(stores))
    assert {one.revision for one in await asyncio.gather(*saves)} == {1}
    await asyncio.gather(*(store.aclose() for store in stores))


async def test_an_existing_bucket_is_used_as_it_is(client, bucket):
    await client.jetstream().create_key_value(bucket=bucket, history=5)
    store = NatsStore(client, bucket=bucket)
    for revision in range(3):
        await store.save("payroll", position(f"c{revision}"), after=revision)
    assert await cursor_in(store) == "c2"


async def test_a_bucket_just_created_with_other_settings_is_used(client, bucket, monkeypatch):
    jetstream = client.jetstream()
    make = type(jetstream).create_key_value

    async def too_late(self, **settings):
        await make(self, bucket=settings["bucket"], history=9)
        return await make(self, **settings)

    monkeypatch.setattr(type(jetstream), "create_key_value", too_late)
    store = NatsStore(client, bucket=bucket)
    assert (await store.save("payroll", position(), after=0)).revision == 1


@pytest.mark.parametrize("after", [0, 1])
async def test_a_bucket_that_does_not_listen_yet_is_tried_again(client, bucket, monkeypatch, after):
    store = NatsStore(client, bucket=bucket)
    for revision in range(after):
        await store.save("payroll", position(), after=revision)
    opened = await store._bucket.get()
    failures = iter(range(3))
    publish = opened._publish

    async def fail_at_first(*args, **kwargs):
        if next(failures, None) is not None:
            raise NoStreamResponseError
        return await publish(*args, **kwargs)

    monkeypatch.setattr(opened, "_publish", fail_at_first)
    assert (await store.save("payroll", position("c"), after=after)).revision == after + 1
    failures = iter(range(10**6))
    with pytest.raises(StoreError, match="no response from stream"):
        await store.save("payroll", position("c"), after=after + 1)


async def test_revisions_are_ours_and_not_the_buckets(client, bucket):
    store = NatsStore(client, bucket=bucket)
    for n in range(3):
        await store.save(f"other {n}", position(), after=0)
    assert (await store.save("payroll", position(), after=0)).revision == 1
    assert (await store.save("payroll", position(), after=1)).revision == 2


@pytest.mark.parametrize("how", ["delete", "purge"])
async def test_a_removed_checkpoint_begins_again_at_revision_one(client, bucket, how):
    store = NatsStore(client, bucket=bucket)
    await store.save("payroll", position("old"), after=0)
    await getattr(await client.jetstream().key_value(bucket), how)("payroll")
    assert await store.load("payroll") is None
    with pytest.raises(StaleCheckpointError):
        await store.save("payroll", position("old"), after=1)
    assert (await store.save("payroll", position("new"), after=0)).revision == 1
    assert await cursor_in(store) == "new"


async def test_a_closed_connection_is_replaced(nats_server, bucket):
    async with NatsStore(nats_server, bucket=bucket) as store:
        await store.save("payroll", position("c1"), after=0)
        await (await store._bucket.get()).client.close()
        assert await cursor_in(store) == "c1"


async def test_an_unreachable_server_is_a_time_out(monkeypatch, caplog):
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    store = NatsStore(f"nats://127.0.0.1:{free_port()}")
    with pytest.raises(StoreError, match=r"no connection within 0.3 s: .*Connect call failed"):
        await store.load("payroll")
    await store.aclose()


@pytest.fixture(scope="module")
def guarded():
    """The URL of a server with a user and a password, whose JetStream domain is "hub"."""
    settings = "authorization {user: payroll, password: hunter2}\njetstream {domain: hub}"
    with running_nats(settings) as url:
        yield url.replace("//", "//payroll:hunter2@")


@pytest.mark.parametrize("wrong", ["payroll:hunter3", "someone:hunter2", "hunter4", ""])
async def test_a_wrong_password_is_a_clear_error_without_it(guarded, bucket, wrong):
    url = guarded.replace("payroll:hunter2@", f"{wrong}@" if wrong else "")
    async with NatsStore(url, bucket=bucket) as store, asyncio.timeout(5):
        with pytest.raises(StoreRefusedError) as raised:
            await store.load("payroll")
    message = f"{raised.value} {raised.value!r}"
    assert "Authorization Violation" in message
    assert "Check the user and the password" in message
    assert "hunter" not in message


async def test_servers_may_be_several(guarded, bucket):
    down = f"nats://127.0.0.1:{free_port()}"
    host = guarded.removeprefix("nats://")
    for servers in (f"{down},{guarded}", f"{guarded},{down}", f"{down}, {host}"):
        async with NatsStore(servers, bucket=bucket) as store:
            found = await store.load("payroll")
            await store.save("payroll", position(), after=found.revision if found else 0)
            assert "hunter2" not in repr(store)
    assert repr(NatsStore(f"{down},{guarded}")).count("nats://127.0.0.1:") == 2


async def test_servers_none_of_which_is_up_are_a_clear_error(monkeypatch, bucket):
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    servers = f"nats://127.0.0.1:{free_port()},127.0.0.1:{free_port()}"
    async with NatsStore(servers, bucket=bucket) as store:
        with pytest.raises(StoreError, match=r"no connection within 0.3 s: .*Connect call failed"):
            await store.load("payroll")


@pytest.mark.parametrize("url", ["nats://u:hun/ter2@host", "nats://:x:hunter2", "nats://,"])
def test_a_url_that_cannot_be_read_is_not_shown(url):
    with pytest.raises(InvalidArgumentError, match="percent-encode") as raised:
        NatsStore(url)
    assert "hun" not in str(raised.value)


async def test_a_domain_can_be_named(bucket):
    """Through a leaf server, whose own JetStream has a bucket of the same name."""
    hub_port = free_port()
    hub = f"jetstream {{domain: hub}}\nleafnodes {{port: {hub_port}, host: 127.0.0.1}}"
    leaf = (
        "jetstream {domain: leaf}\n"
        f'leafnodes {{remotes: [{{url: "nats-leaf://127.0.0.1:{hub_port}"}}]}}'
    )
    servers = ExitStack()
    with servers:
        hub_url = await asyncio.to_thread(servers.enter_context, running_nats(hub))
        leaf_url = await asyncio.to_thread(servers.enter_context, running_nats(leaf))
        async with NatsStore(leaf_url, bucket=bucket) as here:
            await here.save("payroll", position("leaf"), after=0)
        async with NatsStore(hub_url, bucket=bucket) as there:
            assert await there.load("payroll") is None
            async with NatsStore(leaf_url, bucket=bucket, domain="hub") as through:
                await through.save("payroll", position("c1"), after=0)
                await through.save("payroll", position("c2"), after=1)
                assert await through.list() == ["payroll"]
                assert await cursor_in(there) == "c2"
                assert await through.delete("payroll")
                assert await there.load("payroll") is None
        async with NatsStore(leaf_url, bucket=bucket) as here:
            assert await cursor_in(here) == "leaf"


async def test_a_domain_that_does_not_exist_is_a_clear_error(nats_server, bucket, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    async with NatsStore(nats_server, bucket=bucket, domain="nowhere") as store:
        with pytest.raises(StoreError, match="has JetStream"):
            await store.load("payroll")


@pytest.mark.parametrize("server", [None, {}])
def test_anything_but_a_url_or_a_client_is_refused(server):
    with pytest.raises(InvalidArgumentError, match="server: a .* is neither a URL"):
        NatsStore(server)

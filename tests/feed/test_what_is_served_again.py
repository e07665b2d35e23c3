"""What is the same is not delivered again, and what differs in content is another version."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from coachstream import CoachingSession, CursorLoopError, consume
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import Profile, World
from coachstream.emulator.render import session_bytes
from coachstream.feed.versions import VersionSet, all_stored
from coachstream.wire import pages
from tests.support.emulated import LONG_AGO, feed, key, keys, unlimited
from tests.support.versions import decoded, identity_of
from tests.support.virtual_time import LoopClock, pass_time, virtual


def quiet(sessions=30, **more):
    return World(sessions=sessions, changes_per_hour=0, **more)


async def follow(stream, until_quiet=30.0):
    got = []
    try:
        while True:
            async with asyncio.timeout(until_quiet):
                got.append(await anext(stream))
    except TimeoutError:
        return got


def time_of(api, name):
    return datetime.fromtimestamp(
        api.world.record.sessions[name].latest.updated / 1000, api.now.tzinfo
    )


# Two versions with one key


@virtual
@pytest.mark.parametrize("profile", Profile.every(), ids=str)
@pytest.mark.parametrize("readers", [1, 3])
async def test_a_session_that_changes_twice_within_one_time_is_delivered_twice(profile, readers):
    async with feed(quiet(), profile=profile, page_size=(3, 9)) as (api, client, _):
        stream = client.sessions.stream(start_time=LONG_AGO, readers=readers)
        await follow(stream)
        name = api.world.add_session()
        one = await follow(stream)
        api.world.annotate(name, "within the same second", updated_at=time_of(api, name))
        two = await follow(stream)
        assert keys(one) == keys(two) == [api.world.versions()[-1]]
        assert (one[0].content_digest, two[0].session_note) != (two[0].content_digest, None)
        assert await follow(stream) == []


@virtual
async def test_so_it_is_after_a_restart_and_with_other_details():
    """What is asked with events or without them is the same version all the same."""
    async with feed(quiet(), profile=Profile(caught_up_cursor="empty")) as (api, client, _):
        store, got = MemoryStore(), []
        name = str(api.world.sessions()[-1]["id"])
        for note in (None, None, "within the same second", None):
            if note is not None:
                api.world.annotate(name, note, updated_at=time_of(api, name))
            stream = client.sessions.stream(start_time=LONG_AGO, name="n", store=store)
            async with stream:
                got.append(await follow(stream))
        assert [len(one) for one in got] == [30, 0, 1, 0]
        assert got[2][0].session_note == "within the same second"


@virtual
async def test_so_it_is_when_the_cursor_has_expired():
    async with feed(quiet()) as (api, client, _):
        store = MemoryStore()

        async def run():
            async with client.sessions.stream(start_time=LONG_AGO, name="n", store=store) as stream:
                return await follow(stream)

        await run()
        name = str(api.world.sessions()[-1]["id"])
        api.world.annotate(name, "within the same second", updated_at=time_of(api, name))
        api.advance(timedelta(days=31))
        assert [one.session_note for one in await run()] == ["within the same second"]
        assert await run() == []


def test_events_and_external_ids_make_no_other_version():
    world = World(seed=5, sessions=40, changes_per_hour=0)
    with_events = 0
    for version in world.record.every:
        ids = dict(world.external_ids[version.session.driver_id])
        raw = session_bytes(version, ids, show_events=True, show_external_ids=True)
        full = pages.session(raw, keep_raw=True)
        assert isinstance(full, CoachingSession)
        assert full.content_digest == decoded(version).content_digest
        with_events += any(one.coachable_events for one in full.behaviors)
    assert with_events > 10
    digests = {decoded(version).content_digest for version in world.record.every}
    assert len(digests) > 0.9 * len(world.versions()), "a few changes change nothing"


def test_of_two_versions_with_one_key_the_one_that_came_is_expected_no_more():
    world = quiet(times="seconds")
    name = world.add_session()
    world.annotate(name, "x")
    one, two = map(decoded, world.record.sessions[name].versions)
    for known in ([one, two], all_stored([one, two])):
        expected = VersionSet(known)
        expected.discard([one])
        assert one not in expected
        assert two in expected
        expected.discard([two])
        assert not expected


# What comes again


@virtual
@pytest.mark.parametrize("cursors", ["unique", "place"])
@pytest.mark.parametrize("has_next", [True, False])
@pytest.mark.parametrize("caught_up", ["same", "new", "empty"])
async def test_pages_that_overlap_repeat_nothing_and_their_end_costs_no_more_than_polls(
    cursors, has_next, caught_up
):
    profile = Profile(
        pages_overlap=True,
        cursors=cursors,
        caught_up_has_next=has_next,
        caught_up_cursor=caught_up,
    )
    async with feed(quiet(200), profile=profile, page_size=7) as (api, client, _):
        store = MemoryStore()
        got = []
        for _ in range(3):
            stream = client.sessions.stream(start_time=LONG_AGO, name="n", store=store)
            async with stream:
                got += keys(await follow(stream, 60))
                asked = len(api.requests)
                got += keys(await follow(stream, 120))
                assert len(api.requests) - asked <= 120 / 5 + 1
            api.world.add_session()
        assert got == [one for one in api.world.versions() if one in api.world.latest()][: len(got)]
        assert len(got) == 202


class Circle:
    """An exchange whose server answers the same content with ever new cursors."""

    def __init__(self, exchange):
        self._exchange, self._answer = exchange, None

    async def __call__(self, *args, **kwargs):
        answer = await self._exchange(*args, **kwargs)
        self._answer = self._answer or answer
        page = msgspec.json.decode(self._answer.body)
        page["pagination"] = {"endCursor": f"c{id(answer)}{args[1]}"[-300:], "hasNextPage": True}
        return msgspec.structs.replace(self._answer, body=msgspec.json.encode(page))


@virtual
@pytest.mark.parametrize("bounded", [True, False])
async def test_ever_new_cursors_over_the_same_content(bounded):
    async with feed(quiet(), page_size=50) as (api, client, _):
        exchange = client._transport._exchange
        exchange.send = Circle(exchange.send)  # type: ignore[method-assign]  # on purpose
        end = api.now + timedelta(days=1) if bounded else None
        stream = client.sessions.stream(start_time=LONG_AGO, end_time=end)
        if bounded:
            with pytest.raises(CursorLoopError):
                [one async for one in stream]
            assert len(api.requests) <= 6
        else:
            assert len(await follow(stream)) == 30
            assert await follow(stream, 600) == []
            assert len(api.requests) <= 600 / 5 + 30


@virtual
async def test_what_was_settled_of_a_bulk_change_does_not_come_again():
    """Forty versions have one time, and all but the first page's were settled."""
    async with feed(quiet(40), page_size=10, **unlimited()) as (api, client, _):
        api.world.annotate_all("one stroke")
        store, handled = MemoryStore(), []
        first_page = {one for one, _ in api.world.versions()[-40:-30]}

        async def run(*, ending, max_unsettled, hanging):
            stream = client.sessions.stream(start_time=LONG_AGO)

            async def handle(session):
                if hanging and session.id in first_page:
                    await asyncio.Event().wait()
                handled.append(key(session))
                if len(handled) == ending:
                    await stream.aclose()

            more: dict[str, Any] = {"concurrency": 50, "drain_timeout": 0.1, "clock": LoopClock()}
            running = asyncio.ensure_future(
                consume(
                    stream,
                    handle,
                    name="n",
                    store=store,
                    key=lambda session: session.id,
                    max_unsettled=max_unsettled,
                    **more,
                )
            )
            await pass_time(20)
            await stream.aclose()
            await running

        await run(ending=None, max_unsettled=100, hanging=True)
        assert len(handled) == 30
        # The first page is passed, and then all ends before another is read.
        await run(ending=40, max_unsettled=1, hanging=False)
        await run(ending=None, max_unsettled=100, hanging=False)
        assert len(handled) == 40
        assert set(handled) == api.world.latest()


def test_identities_tell_versions_apart():
    world = quiet(times="seconds")
    name = world.add_session()
    world.annotate(name, "x")
    one, two = world.record.sessions[name].versions
    assert one.key == two.key
    assert identity_of(one) != identity_of(two)

"""What the real API may do with time, cursors and content, and a kind laboratory would not."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from coachstream.emulator import Emulator, Profile, World
from coachstream.emulator.world import DEFAULT_START
from tests.emulator.asking import LONG_AGO, Asker
from tests.support.virtual_time import virtual


def quiet(**more):
    return World(sessions=60, drivers=4, changes_per_hour=0, **more)


def times(world):
    """Each version's stamp and updatedAtTime, in feed order."""
    return [(version.stamp, version.updated) for version in world.record.every]


def test_by_default_a_version_is_updated_when_it_becomes_visible():
    assert all(stamp == updated for stamp, updated in times(quiet()))


def test_times_may_be_whole_seconds():
    world = quiet(times="seconds")
    one, two = (world.add_session() for _ in range(2))
    world.annotate(one, "x")
    shared = [key for key, count in Counter(world.versions()).items() if count > 1]
    assert [name for name, _ in shared] == [one], "two versions with one key"
    assert world.record.sessions[two].latest.updated == world.record.sessions[one].latest.updated
    assert all(updated % 1000 == 0 for _, updated in times(world))


@pytest.mark.parametrize(("kind", "minutes"), [("late", 14), ("disordered", 60)])
def test_versions_may_become_visible_later_than_they_were_updated(kind, minutes):
    world = quiet(times=kind)
    behind = [stamp - updated for stamp, updated in times(world)]
    assert min(behind) >= 0
    assert minutes * 30_000 < max(behind) <= minutes * 60_000


@pytest.mark.parametrize("kind", ["late", "disordered", "ahead"])
def test_the_versions_of_one_session_are_in_the_order_of_their_times(kind):
    world = quiet(times=kind)
    one = world.add_session()
    for number in range(50):
        world.annotate(one, str(number))
    updated = [version.updated for version in world.record.sessions[one].versions]
    assert updated == sorted(updated)
    assert len({*updated}) > 1


def test_a_few_times_may_lie_in_the_future():
    ahead = [updated - stamp for stamp, updated in times(quiet(times="ahead"))]
    assert 0 < sum(one > 0 for one in ahead) < len(ahead) / 2
    assert max(ahead) > 3_600_000


def test_a_bulk_change_has_one_time():
    world = quiet()
    world.annotate_all("one stroke")
    assert len({at for _, at in world.latest()}) == 1
    assert len({version.stamp for version in world.record.every}) == len(world.versions())


@pytest.mark.parametrize("kind", ["unique", "seconds"])
def test_a_bulk_change_keeps_the_feed_in_the_order_of_time(kind):
    world = quiet(times=kind)
    for note in ("one", "two"):
        world.advance(world.now + timedelta(milliseconds=1500))
        world.add_session()
        world.add_session()
        world.annotate_all(note)
        world.add_session()
    updated = [one for _, one in times(world)]
    assert updated == sorted(updated)


def test_a_test_may_choose_a_time():
    world = quiet()
    moment = DEFAULT_START + timedelta(days=400)
    one = world.add_session(updated_at=moment)
    world.annotate(one, "again", updated_at=moment)
    text = moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    assert world.versions()[-2:] == [(one, text)] * 2


def test_behaviors_may_change_from_version_to_version():
    world = World(seed=3, sessions=30, changes_per_hour=0, changing_behaviors=True)
    before = {one["id"]: one["behaviors"] for one in world.sessions()}
    world.annotate_all("again")
    after = {one["id"]: one["behaviors"] for one in world.sessions()}
    assert before != after
    fixed = World(seed=3, sessions=30, changes_per_hour=0)
    before = {one["id"]: one["behaviors"] for one in fixed.sessions()}
    fixed.annotate_all("again")
    assert before == {one["id"]: one["behaviors"] for one in fixed.sessions()}


@virtual
@pytest.mark.parametrize("kind", ["seconds", "late", "disordered", "ahead"])
async def test_a_query_compares_its_times_with_the_versions_own(kind):
    async with Emulator(quiet(times=kind), page_size=7, sessions_per_second=None) as api:
        start, end = DEFAULT_START - timedelta(days=40), DEFAULT_START - timedelta(days=10)
        async with Asker(api) as ask:
            got = await ask.everything(startTime=f"{start:%FT%TZ}", endTime=f"{end:%FT%TZ}")
        wanted = [
            version.key
            for version in api.world.record.every
            if version.superseded is None
            and start <= datetime.fromtimestamp(version.updated / 1000, UTC) < end
        ]
        assert got == wanted
        assert got


@virtual
async def test_what_is_days_ahead_of_its_time_or_late_is_served_by_its_own_time():
    world = quiet()
    before = DEFAULT_START - timedelta(days=20)
    after = DEFAULT_START + timedelta(days=20)
    late = world.add_session(updated_at=before)
    ahead = world.add_session(updated_at=after)
    api = Emulator(world, page_size=7, sessions_per_second=None)
    async with api, Asker(api) as ask:
        for moment, name in ((before, late), (after, ahead)):
            times = {"startTime": f"{moment:%FT%TZ}", "endTime": f"{moment:%FT%T}.001Z"}
            assert [one for one, _ in await ask.everything(**times)] == [name]


@virtual
async def test_cursors_of_places_are_the_same_for_the_same_place():
    profile = Profile(cursors="place")
    api = Emulator(quiet(), profile=profile, page_size=7, sessions_per_second=None)
    async with api, Asker(api) as ask:
        first, again = [await ask(startTime=LONG_AGO) for _ in range(2)]
        assert first.cursor == again.cursor
        other = await ask(startTime=LONG_AGO, driverIds=api.world.drivers[0])
        assert other.cursor != first.cursor, "they are bound to the parameters all the same"
        # One lives from when it was last handed out.
        api.advance(timedelta(days=20))
        await ask(startTime=LONG_AGO)
        api.advance(timedelta(days=20))
        assert (await ask(startTime=LONG_AGO, after=first.cursor)).status == 200
        api.advance(timedelta(days=31))
        assert (await ask(startTime=LONG_AGO, after=first.cursor)).status == 400


@virtual
async def test_pages_may_begin_with_what_the_last_one_ended_with():
    profile = Profile(pages_overlap=True, caught_up_has_next=True, caught_up_cursor="new")
    api = Emulator(quiet(), profile=profile, page_size=7, sessions_per_second=None)
    async with api, Asker(api) as ask:
        one = await ask(startTime=LONG_AGO)
        two = await ask(startTime=LONG_AGO, after=one.cursor)
        assert (len(one.keys), len(two.keys)) == (7, 8)
        assert two.keys[0] == one.keys[-1]
        while two.keys[1:]:
            two = await ask(startTime=LONG_AGO, after=two.cursor)
        # Caught up: ever new cursors over the same session.
        three = await ask(startTime=LONG_AGO, after=two.cursor)
        assert three.keys == two.keys == [api.world.versions()[-1]]
        assert three.cursor != two.cursor


@virtual
async def test_a_good_cursor_may_be_refused_but_not_twice_in_a_row():
    profile = Profile(spurious_refusals=0.9)
    api = Emulator(quiet(), profile=profile, page_size=7, sessions_per_second=None)
    async with api, Asker(api) as ask:
        page, statuses = await ask(startTime=LONG_AGO), []
        for _ in range(40):
            again = await ask(startTime=LONG_AGO, after=page.cursor)
            statuses.append(again.status)
        assert statuses.count(400) > 10
        assert (400, 400) not in set(pairwise(statuses))


@virtual
async def test_answers_may_have_no_date():
    async with Emulator(quiet(), profile=Profile(date_header=False)) as api, Asker(api) as ask:
        page = await ask(startTime=LONG_AGO)
        assert not page.headers.get("Date")

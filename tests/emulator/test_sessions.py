"""The feed of sessions, over HTTP, under every profile."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from coachstream.emulator import Emulator, Profile, World

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LONG_AGO = "2020-01-01T00:00:00Z"
PATH = "/coaching/sessions/stream"
AWKWARD = "+ /=&%,~|"


def text(moment):
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def keys(page):
    return [(session["id"], session["updatedAtTime"]) for session in page["data"]]


class Reader:
    """A minimal HTTP client of the feed."""

    def __init__(self, http):
        self.http = http

    async def request(self, **params):
        params = {"startTime": LONG_AGO, **params}
        async with self.http.get(
            PATH, params={k: v for k, v in params.items() if v is not None}
        ) as r:
            return r.status, await r.json()

    async def page(self, **params):
        status, page = await self.request(**params)
        if status == 400 and params.get("after"):  # refused by mistake, as one profile does
            status, page = await self.request(**params)
        assert status == 200, page
        return page

    async def everything(self, *, enough=None, **params):
        """Follow the cursors; return what was read, and the last cursor that was not empty.

        It ends when hasNextPage is false. For a feed where it never is, it ends with an empty page
        after ``enough`` sessions.
        """
        read, after = [], ""
        for _ in range(500):
            page = await self.page(after=after, **params)
            new = page["data"][1:] if page["data"][:1] == read[-1:] else page["data"]
            read += new
            cursor = page["pagination"]["endCursor"]
            idle = not new and enough is not None and len(read) >= enough
            if not page["pagination"]["hasNextPage"] or idle or not cursor:
                return read, cursor or after
            after = cursor
        raise AssertionError("the feed did not end")


@pytest_asyncio.fixture
async def start_reading():
    """Return a function that starts an emulator and returns it with a reader."""
    open_: list[Callable[[], Awaitable[None]]] = []

    async def start(world=None, **settings):
        settings = {"sessions_per_second": None, "page_size": 7, **settings}
        api = Emulator(world or small(), **settings)
        await api.start()
        http = aiohttp.ClientSession(api.url, headers={"Authorization": "Bearer t"})
        open_.extend((http.close, api.stop))
        return api, Reader(http)

    yield start
    for close in open_:
        await close()


def small(**settings):
    return World(
        **{
            "sessions": 60,
            "drivers": 9,
            "coaches": 4,
            "now": NOW,
            "changes_per_hour": 0,
            **settings,
        }
    )


@pytest.mark.parametrize("profile", Profile.every(), ids=str)
async def test_all_pages_hold_every_session_in_order(start_reading, profile):
    api, reader = await start_reading(profile=profile, page_size=(1, 9))
    wanted = api.world.versions()
    if profile.versions == "latest":
        wanted = [key for key in wanted if key in api.world.latest()]
    read, after = await reader.everything(enough=len(wanted))
    assert keys({"data": read}) == wanted

    # A later change is served after the last cursor.
    one = api.world.add_session()
    if profile.caught_up_cursor != "empty":
        read = []
        while not read or keys({"data": read}) == wanted[-1:]:
            read = (await reader.page(after=after))["data"]
        if profile.pages_overlap:
            assert keys({"data": read[:1]}) == wanted[-1:]
            del read[0]
        assert [session["id"] for session in read] == [one]


@pytest.mark.parametrize("profile", Profile.every(), ids=str)
async def test_a_bounded_stream_is_complete_and_ends(start_reading, profile):
    api, reader = await start_reading(profile=profile)
    read, _ = await reader.everything(endTime="2030-01-01T00:00:00Z")
    if profile.versions == "latest":
        assert set(keys({"data": read})) == api.world.latest()
    else:
        assert keys({"data": read}) == api.world.versions()


@pytest.mark.parametrize("has_next", [False, True])
@pytest.mark.parametrize("cursor", ["same", "new", "empty"])
async def test_a_caught_up_feed_responds_by_profile(start_reading, has_next, cursor):
    profile = Profile(caught_up_has_next=has_next, caught_up_cursor=cursor)
    api, reader = await start_reading(small(sessions=5), profile=profile)

    last = (await reader.page())["pagination"]
    assert last["hasNextPage"] is has_next
    assert (last["endCursor"] == "") == (cursor == "empty")

    if cursor == "empty":
        # The only way left to get an empty page is a startTime in the future.
        page = await reader.page(startTime=text(api.now + timedelta(hours=1)))
        assert page == {"data": [], "pagination": last}
        return
    sent = last["endCursor"]
    idle = await reader.page(after=sent)
    assert idle["data"] == []
    assert idle["pagination"]["hasNextPage"] is has_next
    assert (idle["pagination"]["endCursor"] == sent) == (cursor == "same")

    one = api.world.add_session()
    for after in (sent, idle["pagination"]["endCursor"]):
        assert [s["id"] for s in (await reader.page(after=after))["data"]] == [one]


async def test_an_empty_feed_repeats_the_empty_cursor_of_the_request(start_reading):
    _, reader = await start_reading(small(sessions=0))
    page = await reader.page()
    assert page == {"data": [], "pagination": {"endCursor": "", "hasNextPage": False}}


async def test_a_feed_caught_up_with_a_full_page_has_no_next_page(start_reading):
    _, reader = await start_reading(small(sessions=7), page_size=7)
    page = await reader.page()
    assert len(page["data"]) == 7
    assert page["pagination"]["hasNextPage"] is False


@pytest.mark.parametrize(("kind", "empty"), [("kept", False), ("empty", True)])
async def test_the_last_page_of_a_bounded_stream(start_reading, kind, empty):
    profile = Profile(terminal_cursor=kind, caught_up_has_next=True)
    _, reader = await start_reading(small(sessions=3), profile=profile)
    last = (await reader.page(endTime="2030-01-01T00:00:00Z"))["pagination"]
    assert last["hasNextPage"] is False
    assert (last["endCursor"] == "") is empty


async def test_an_updated_session_moves_to_its_later_position(start_reading):
    api, reader = await start_reading(small(sessions=0))
    one, two = api.world.add_session(), api.world.add_session()
    api.world.annotate(one, "again")
    page = await reader.page()
    assert [s["id"] for s in page["data"]] == [two, one]
    assert page["data"][1]["sessionNote"] == "again"


async def test_every_version_can_be_served_by_profile(start_reading):
    api, reader = await start_reading(small(sessions=0), profile=Profile(versions="every"))
    one = api.world.add_session(sessionNote="first")
    api.world.annotate(one, "second")
    assert [s["sessionNote"] for s in (await reader.page())["data"]] == ["first", "second"]


async def test_a_session_updated_after_it_was_read_is_served_again(start_reading):
    api, reader = await start_reading(page_size=10)
    first = await reader.page()
    seen = first["data"][0]["id"]
    api.world.complete(seen)
    rest, after = [], first["pagination"]["endCursor"]
    while after:
        page = await reader.page(after=after)
        rest += page["data"]
        after = page["pagination"]["endCursor"] if page["pagination"]["hasNextPage"] else ""
    assert rest[-1]["id"] == seen
    assert rest[-1]["sessionStatus"] == "completed"
    assert set(keys({"data": rest})) | set(keys(first)) >= api.world.latest()


async def test_start_and_end_are_compared_with_the_update(start_reading):
    api, reader = await start_reading(small(sessions=0))
    ids = []
    for _ in range(3):
        ids.append(api.world.add_session())
        api.advance(timedelta(seconds=10))
    stamps = [stamp for _, stamp in api.world.versions()]

    async def read(**params):
        return [s["id"] for s in (await reader.page(**params))["data"]]

    assert await read(startTime=stamps[1]) == ids[1:]
    assert await read(endTime=stamps[1]) == ids[:1]
    assert await read(startTime=stamps[0], endTime=stamps[2]) == ids[:2]
    # Just after a stamp, by less than a millisecond.
    assert await read(startTime=stamps[1].replace("Z", "001Z")) == ids[2:]
    assert await read(endTime=stamps[1].replace("Z", "001Z")) == ids[:2]
    # The same time in another notation.
    offset = (
        datetime.fromisoformat(stamps[1]).astimezone(tz=None).isoformat(timespec="microseconds")
    )
    assert await read(startTime=offset) == ids[1:]


async def test_the_end_can_be_inclusive_by_profile(start_reading):
    api, reader = await start_reading(small(sessions=0), profile=Profile(end_inclusive=True))
    one = api.world.add_session()
    [(_, stamp)] = api.world.versions()
    page = await reader.page(endTime=stamp)
    assert [s["id"] for s in page["data"]] == [one]


async def test_equal_times_return_each_session_as_it_was_then(start_reading):
    api, reader = await start_reading(small(sessions=0), page_size=1)
    one = api.world.add_session(sessionNote="before")
    two = api.world.add_session(sessionNote="before")
    api.advance(timedelta(hours=1))
    api.world.annotate(one, "at the moment")
    moment = api.world.versions()[-1][1]
    api.advance(timedelta(hours=1))
    api.world.annotate(one, "after")
    api.world.annotate(two, "after")
    api.world.add_session(sessionNote="after")
    read, _ = await reader.everything(startTime=moment, endTime=moment)
    assert [(s["id"], s["sessionNote"]) for s in read] == [(two, "before"), (one, "at the moment")]


async def test_deleted_sessions_stay_in_the_feed_as_tombstones(start_reading):
    api, reader = await start_reading(small(sessions=0))
    one = api.world.add_session()
    api.world.delete(one)
    [session] = (await reader.page())["data"]
    assert (session["id"], session["sessionStatus"]) == (one, "deleted")


async def test_filters_by_driver_coach_and_status(start_reading):
    api, reader = await start_reading(small(sessions=300))
    sessions = api.world.sessions()

    def coaches(session):
        return {session.get("assignedCoachId"), session.get("completedCoachId")}

    drivers, some_coaches = api.world.drivers[:2], api.world.coaches[:2]
    for params, wanted in (
        (
            {"driverIds": ",".join(drivers)},
            lambda s: s["driver"]["driverId"] in drivers,
        ),
        (
            {"coachIds": ",".join(some_coaches)},
            lambda s: not coaches(s).isdisjoint(some_coaches),
        ),
        (
            {"driverIds": drivers[0], "coachIds": some_coaches[0]},
            lambda s: s["driver"]["driverId"] == drivers[0] and some_coaches[0] in coaches(s),
        ),
        (
            {"sessionStatuses": "completed,deleted"},
            lambda s: s["sessionStatus"] in {"completed", "deleted"},
        ),
        ({"driverIds": "nobody"}, lambda _: False),
        ({"driverIds": "", "coachIds": "", "sessionStatuses": ""}, lambda _: True),
    ):
        read, _ = await reader.everything(**params)
        assert [s["id"] for s in read] == [s["id"] for s in sessions if wanted(s)], params


async def test_a_coach_is_found_as_assigned_and_as_completing(start_reading):
    api, reader = await start_reading(small(sessions=0))
    coach = api.world.coaches[0]
    one = api.world.add_session(assignedCoachId=coach)
    two = api.world.add_session(assignedCoachId=coach)
    api.world.complete(two)
    api.world.add_session(assignedCoachId=api.world.coaches[1])
    page = await reader.page(coachIds=coach)
    assert [s["id"] for s in page["data"]] == [one, two]
    assert page["data"][1]["completedCoachId"] == coach


async def test_events_and_external_ids_are_served_only_when_requested(start_reading):
    api, reader = await start_reading(small(sessions=300), page_size=300)
    full = {s["id"]: s for s in api.world.sessions()}
    plain = (await reader.page())["data"]
    assert not any("externalIds" in s["driver"] for s in plain)
    assert not any("coachableEvents" in b for s in plain for b in s["behaviors"])

    both = await reader.page(includeCoachableEvents="true", includeExternalIds="true")
    capped = 0
    for session in both["data"]:
        whole = full[session["id"]]
        assert session["driver"] == whole["driver"]
        events = [e for b in session["behaviors"] for e in b["coachableEvents"]]
        known = [e for b in whole["behaviors"] for e in b["coachableEvents"]]
        assert events == known[:100]
        capped += len(known) > 100
    assert capped
    assert any("externalIds" in s["driver"] for s in both["data"])


async def test_served_sessions_equal_those_of_the_world(start_reading):
    api, reader = await start_reading(small(sessions=100), page_size=100)
    page = await reader.page()
    for session, whole in zip(page["data"], api.world.sessions(), strict=True):
        whole["driver"].pop("externalIds", None)
        for behavior in whole["behaviors"]:
            del behavior["coachableEvents"]
        assert session == whole


async def test_page_sizes_can_vary(start_reading):
    api, reader = await start_reading(page_size=(2, 6))
    await reader.everything()
    sizes = {len(request.served) for request in api.requests[:-1]}
    assert sizes <= set(range(2, 7))
    assert len(sizes) > 2


async def test_short_and_empty_pages_appear_within_the_feed(start_reading):
    profile = Profile(short_pages=0.5, empty_pages=0.5)
    _, reader = await start_reading(small(sessions=300), profile=profile, page_size=10)
    sizes, after = [], ""
    while True:
        page = await reader.page(after=after)
        cursor = page["pagination"]["endCursor"]
        assert cursor != after
        sizes.append(len(page["data"]))
        after = cursor
        if not page["pagination"]["hasNextPage"]:
            break
    assert sum(sizes) == 300
    assert 0 in sizes
    assert 10 in sizes
    assert any(0 < size < 10 for size in sizes[:-1])


# Cursors


async def test_cursors_are_long_and_full_of_awkward_characters(start_reading):
    _, reader = await start_reading()
    cursor = (await reader.page())["pagination"]["endCursor"]
    assert len(cursor) > 80
    assert set(AWKWARD) <= set(cursor)


async def test_a_cursor_that_is_not_escaped_is_refused(start_reading):
    api, reader = await start_reading()
    cursor = (await reader.page())["pagination"]["endCursor"]
    url = f"{api.url}{PATH}?startTime={LONG_AGO}&after={quote(cursor, safe='+')}"
    async with reader.http.get(URL(url, encoded=True)) as answer:
        assert answer.status == 400
        assert (await answer.json())["message"] == "invalid or expired pagination cursor"


DIFFERENT = [
    {"startTime": "2020-01-01T00:00:00.0Z"},
    {"startTime": "2020-01-01T00:00:00+00:00"},
    {"driverIds": "1,2"},
    {"endTime": "2030-01-01T00:00:00Z"},
    {"includeExternalIds": "false"},
]


@pytest.mark.parametrize("other", DIFFERENT, ids=str)
async def test_a_cursor_is_bound_to_the_parameters_byte_for_byte(start_reading, other):
    _, reader = await start_reading()
    cursor = (await reader.page())["pagination"]["endCursor"]
    assert await reader.request(after=cursor, **other) == (
        400,
        {"message": "Parameters differ from previous paginated request.", "requestId": ANY_ID},
    )


async def test_a_cursor_is_bound_to_the_order_of_the_ids(start_reading):
    api, reader = await start_reading(page_size=1)
    one, two = api.world.drivers[:2]
    cursor = (await reader.page(driverIds=f"{one},{two}"))["pagination"]["endCursor"]
    status, _ = await reader.request(driverIds=f"{two},{one}", after=cursor)
    assert status == 400
    await reader.page(driverIds=f"{one},{two}", after=cursor)


@pytest.mark.parametrize(
    "cursor", ["MjkY", "x" * 200, "a +/=&%2F,~|b", " +/=&%2F,~|", "\udc80é"[1:]]
)
async def test_an_unknown_cursor_is_refused(start_reading, cursor):
    _, reader = await start_reading()
    assert await reader.request(after=cursor) == (
        400,
        {"message": "invalid or expired pagination cursor", "requestId": ANY_ID},
    )


async def test_a_cursor_with_one_character_changed_is_refused(start_reading):
    _, reader = await start_reading()
    cursor = (await reader.page())["pagination"]["endCursor"]
    changed = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    assert (await reader.request(after=changed))[0] == 400


async def test_a_cursor_expires_by_the_time_of_the_world(start_reading):
    api, reader = await start_reading(cursor_life=timedelta(days=30))
    cursor = (await reader.page())["pagination"]["endCursor"]
    api.advance(timedelta(days=29, hours=23))
    await reader.page(after=cursor)
    api.advance(timedelta(hours=2))
    status, body = await reader.request(after=cursor)
    assert (status, body["message"]) == (400, "invalid or expired pagination cursor")


async def test_a_restarted_emulator_accepts_old_cursors(start_reading):
    _, reader = await start_reading(small(seed=5))
    first = await reader.page()
    _, again = await start_reading(small(seed=5))
    _, other = await start_reading(small(seed=6))
    cursor = first["pagination"]["endCursor"]
    assert keys(await again.page(after=cursor)) == keys(await reader.page(after=cursor))
    assert (await other.request(after=cursor))[0] == 400


async def test_an_empty_cursor_means_the_first_page(start_reading):
    _, reader = await start_reading()
    assert keys(await reader.page(after="")) == keys(await reader.page())


# Invalid requests


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"startTime": None}, '"startTime" is missing from query string'),
        ({"startTime": None, "after": "MjkY"}, '"startTime" is missing from query string'),
        ({"startTime": ""}, '"startTime" is missing from query string'),
        ({"startTime": "yesterday"}, "Invalid value for parameter."),
        ({"startTime": "2026-05-01"}, "Invalid value for parameter."),
        ({"startTime": "2026-05-01T12:00:00"}, "Invalid value for parameter."),
        ({"startTime": "2026-05-01T12:00:00 02:00"}, "Invalid value for parameter."),
        ({"startTime": "2026-13-01T12:00:00Z"}, "Invalid value for parameter."),
        ({"endTime": "soon"}, "Invalid value for parameter."),
        ({"endTime": "2019-01-01T00:00:00Z"}, "Invalid value for parameter."),
        ({"sessionStatuses": "unknown"}, "Invalid value for parameter."),
        ({"sessionStatuses": "completed,later"}, "Invalid value for parameter."),
        ({"includeCoachableEvents": "yes"}, "Invalid value for parameter."),
        ({"includeExternalIds": "1"}, "Invalid value for parameter."),
    ],
    ids=str,
)
async def test_an_invalid_request_is_refused(start_reading, params, message):
    _, reader = await start_reading()
    assert await reader.request(**params) == (400, {"message": message, "requestId": ANY_ID})


async def test_repeated_keys_are_joined_or_refused(start_reading):
    joining, reader = await start_reading(page_size=100)
    one, two = joining.world.drivers[:2]
    repeated = f"{joining.url}{PATH}?startTime={LONG_AGO}&driverIds={one}&driverIds={two}"
    async with reader.http.get(repeated) as answer:
        joined = keys(await answer.json())
    assert joined == keys(await reader.page(driverIds=f"{one},{two}"))
    assert joining.requests[0].query["driverIds"] == f"{one},{two}"

    rejecting, reader = await start_reading(profile=Profile(repeated_keys="reject"))
    async with reader.http.get(repeated.replace(joining.url, rejecting.url)) as answer:
        assert answer.status == 400


class AnyId:
    """Equal to every request id."""

    def __eq__(self, other):
        return isinstance(other, str) and len(other) == 8

    def __hash__(self):
        return 0


ANY_ID = AnyId()


def test_all_profiles_differ_and_include_the_default():
    profiles = Profile.every()
    assert len(profiles) == len(set(profiles)) == 20
    assert Profile() in profiles
    assert str(Profile()) == "default"
    assert str(Profile(end_inclusive=True)) == "end_inclusive=True"
    with pytest.raises(ValueError, match="empty_pages"):
        Profile(empty_pages=1.0)

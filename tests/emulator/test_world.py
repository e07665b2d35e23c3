"""The world is deterministic: the same for a seed, however its time advances."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coachstream.emulator import World

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATUSES = {"unknown", "upcoming", "completed", "deleted"}
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def quiet(**settings):
    return World(**{"sessions": 0, "drivers": 5, "now": NOW, "changes_per_hour": 0, **settings})


def history(world):
    return world.versions(), world.sessions(), world.assignments


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(-3, 2**70),
    steps=st.lists(st.floats(0, 3), max_size=8),
)
def test_a_world_does_not_depend_on_the_steps_of_its_time(seed, steps):
    def create():
        return World(seed, drivers=9, sessions=20, now=NOW, changes_per_hour=40)

    stepwise, at_once = create(), create()
    now = NOW
    for step in steps:
        now += step * HOUR
        stepwise.advance(now)
    at_once.advance(now)
    assert history(stepwise) == history(at_once)


def test_another_seed_gives_another_world():
    assert history(World(1, sessions=30)) != history(World(2, sessions=30))


def test_changes_by_a_test_do_not_alter_the_random_ones():
    changed, unchanged = (World(drivers=9, sessions=50, now=NOW) for _ in range(2))
    changed.assign(changed.drivers[0], changed.coaches[0])
    changed.reassign(changed.versions()[0][0])  # draws a random coach
    for world in (changed, unchanged):
        world.advance(NOW + 10 * HOUR)
    assert len(changed.versions()) == len(unchanged.versions()) + 1
    assert {id_ for id_, _ in changed.versions()} == {id_ for id_, _ in unchanged.versions()}


def test_every_version_has_a_later_stamp_than_the_one_before():
    world = World(sessions=3000, drivers=9, now=NOW, history=timedelta(seconds=2))
    world.advance(NOW + HOUR)
    stamps = [stamp for _, stamp in world.versions()]
    assert all(STAMP.fullmatch(stamp) for stamp in stamps)
    assert stamps == sorted(set(stamps))


def test_changes_at_the_same_time_are_a_millisecond_apart():
    world = quiet()
    one = world.add_session()
    world.annotate(one, "a")
    two = world.add_session()
    assert world.versions() == [
        (one, "2026-05-01T12:00:00.000Z"),
        (one, "2026-05-01T12:00:00.001Z"),
        (two, "2026-05-01T12:00:00.002Z"),
    ]
    assert world.latest() == {
        (one, "2026-05-01T12:00:00.001Z"),
        (two, "2026-05-01T12:00:00.002Z"),
    }


def test_a_session_shows_each_change():
    world = quiet()
    driver, (first, second, *_) = world.drivers[0], world.coaches
    world.assign(driver, first)
    one = world.add_session(driver, sessionNote="talk")

    def now(*names):
        [session] = world.sessions()
        return tuple(session.get(name) for name in names)

    assert now("sessionStatus", "assignedCoachId", "sessionNote") == ("upcoming", first, "talk")
    world.reassign(one, second)
    world.annotate(one, 'Ünï\n"code"')
    assert now("assignedCoachId", "sessionNote") == (second, 'Ünï\n"code"')
    world.advance(NOW + HOUR)
    world.complete(one)
    assert now("sessionStatus", "assignedCoachId", "completedCoachId", "completedAtTime") == (
        "completed",
        None,
        second,
        "2026-05-01T13:00:00.000Z",
    )
    world.delete(one)
    assert now("sessionStatus", "updatedAtTime") == ("deleted", "2026-05-01T13:00:00.001Z")
    assert len(world.versions()) == 5


def test_fields_can_be_given_and_left_out():
    world = quiet()
    world.add_session("77", id="mine", dueAtTime="", behaviors=[], coachingType=None)
    [session] = world.sessions()
    assert session["id"] == "mine"
    assert session["driver"] == {"driverId": "77"}
    assert (session["dueAtTime"], session["behaviors"]) == ("", [])
    assert "coachingType" not in session
    due = datetime(2026, 6, 1, 12, tzinfo=UTC)
    world.add_session(dueAtTime=due, completedAtTime=due, extra={"newField": 7, "id": 8})
    session = world.sessions()[-1]
    assert session["dueAtTime"] == session["completedAtTime"] == "2026-06-01T12:00:00.000Z"
    assert (session["newField"], session["id"]) == (7, 8)
    with pytest.raises(ValueError, match="mine"):
        world.add_session(id="mine")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"updatedAtTime": "2026-05-01T12:00:00Z"}, "updatedAtTime .* use updated_at"),
        ({"driver": {"driverId": "7"}}, "driver .* use driver_id"),
        ({"driverId": "7"}, "driverId .* use driver_id"),
        ({"session_note": "x"}, "unknown field 'session_note'; known are .*sessionNote"),
        ({"status": "completed"}, "unknown field 'status'"),
        ({"driver_id": 7}, "driver_id needs a string, not 7"),
        ({"assignedCoachId": 7}, "assignedCoachId needs a string, not 7"),
        ({"sessionStatus": None}, "sessionStatus needs a string, not None"),
        ({"id": None}, "id needs a string"),
        ({"dueAtTime": 1234567890}, "dueAtTime needs an aware datetime or a string"),
        ({"dueAtTime": datetime(2026, 1, 1)}, "offset-naive"),  # noqa: DTZ001  # that is the point
        ({"behaviors": {"id": "1"}}, "behaviors needs a list of dicts"),
        ({"behaviors": ["speeding"]}, "behaviors needs a list of dicts"),
        ({"behaviors": [{"type": "speeding"}]}, "unknown field 'type' of a behavior"),
        ({"updated_at": "2026-05-01"}, "unsupported operand"),
    ],
)
def test_fields_that_the_api_does_not_have_are_refused(fields, problem):
    world = quiet()
    with pytest.raises(TypeError, match=problem):
        world.add_session(**fields)
    assert world.sessions() == []


def test_ids_are_strings():
    world = quiet()
    for call in (lambda: world.assign(7, "1"), lambda: world.assign("7", 1)):
        with pytest.raises(TypeError, match="needs a string, not"):
            call()


def test_random_changes_can_be_disabled():
    world = World(sessions=20, changes_per_hour=0)
    before = history(world)
    world.advance(world.now + timedelta(days=900))
    assert history(world) == before


def test_random_changes_go_on_after_the_start():
    world = World(sessions=50, drivers=20, now=NOW, changes_per_hour=60)
    before, coached = len(world.versions()), world.assignments
    world.advance(NOW + 100 * HOUR)
    assert 5000 < len(world.versions()) - before < 6500
    assert world.assignments != coached
    new = {id_ for id_, _ in world.versions()[before:]}
    assert len(new) > 1000
    assert {session["sessionStatus"] for session in world.sessions()} == STATUSES - {"unknown"}


def test_time_never_goes_back():
    world = quiet()
    world.advance(NOW - HOUR)
    assert world.now == NOW


def test_the_data_has_what_breaks_careless_clients():
    world = World(sessions=4000)
    sessions = world.sessions()
    behaviors = [b for s in sessions for b in s["behaviors"]]
    per_session = [sum(len(b["coachableEvents"]) for b in s["behaviors"]) for s in sessions]
    events = [e for b in behaviors for e in b["coachableEvents"]]
    notes = "".join(s.get("sessionNote", "") for s in sessions)
    externals = "".join(v for ids in world.external_ids.values() for v in ids.values())

    assert {len(s["behaviors"]) for s in sessions} == set(range(7))
    assert max(per_session) > 100
    assert {0, 40} <= set(per_session)
    assert len({b["coachableBehaviorType"] for b in behaviors}) == 42
    assert "nearCollison" in {b["coachableBehaviorType"] for b in behaviors}
    assert all(c in notes for c in '"\n\r\\ü着シ👔'.replace("着", ""))
    assert set("%+-_@") <= set(externals)
    assert any("samsara.serial" in ids for ids in world.external_ids.values())
    assert not any("," in value for value in externals)
    assert {e["linkage"]["sourceType"] for e in events if "linkage" in e} == {
        "safetyEvent",
        "hosViolation",
        "idling",
    }
    assert any("linkage" not in e for e in events)
    for shape in (r"\d+ - \d{13}", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"\d+,[\d-]{10}"):
        assert any(re.fullmatch(shape, e["id"]) for e in events), shape


def test_absent_values_have_no_key():
    def values(thing):
        yield thing
        for inner in thing.values() if isinstance(thing, dict) else thing:
            yield from values(inner) if isinstance(inner, dict | list) else [inner]

    sessions = World(sessions=500).sessions()
    assert None not in list(values(sessions))
    assert any("sessionNote" not in session for session in sessions)
    assert all("completedCoachId" not in s for s in sessions if s["sessionStatus"] == "upcoming")


def test_coaches_can_be_assigned_and_removed():
    world = quiet()
    driver, (first, second, *_) = world.drivers[0], world.coaches
    world.assign(driver, first)
    assert world.assignments[driver] == first
    world.assign(driver, second)
    assert world.assignments[driver] == second
    world.unassign(driver)
    assert driver not in world.assignments


def test_sessions_need_drivers():
    with pytest.raises(ValueError, match="drivers"):
        World(drivers=0)


def test_a_world_without_people_can_still_be_filled_by_a_test():
    world = quiet(drivers=0, coaches=0)
    world.complete(world.add_session("1"))
    assert world.sessions()[0]["sessionStatus"] == "completed"

"""Encoding of arguments as query strings."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream import InvalidArgumentError
from coachstream.enumerations import FILTER_STATUSES
from coachstream.wire import query

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

moments = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001  # hypothesis adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.timezones()
    | st.builds(timezone, st.timedeltas(-timedelta(hours=12), timedelta(hours=12))),
)
ids = st.text(min_size=1).filter(
    lambda text: text.strip() and "," not in text and text.isprintable()
)
id_lists = st.none() | st.lists(ids, min_size=1, max_size=4)


def sessions_query(start_time, end_time=None, **filters):
    return query.sessions_query(
        start_time=start_time, end_time=end_time, filters=query.Filters(**filters)
    )


def arguments():
    return st.fixed_dictionaries(
        {
            "start_time": moments,
            "driver_ids": id_lists,
            "coach_ids": id_lists,
            "session_statuses": st.none()
            | st.lists(st.sampled_from(FILTER_STATUSES), min_size=1, max_size=3),
            "include_coachable_events": st.booleans(),
            "include_external_ids": st.booleans(),
        }
    )


@given(arguments(), st.none() | st.text(min_size=1))
def test_the_query_string_parses_back_to_the_arguments(asked, cursor):
    try:
        wire = sessions_query(**asked).after(cursor)
    except InvalidArgumentError:
        assert cursor is not None  # lone surrogates, which a URL can't contain
        assert not cursor.isprintable()
        return
    read = dict(parse_qsl(wire, keep_blank_values=True, strict_parsing=True))
    start = datetime.fromisoformat(read.pop("startTime"))
    assert timedelta() <= asked["start_time"] - start < timedelta(milliseconds=1)
    assert read.pop("after", None) == cursor
    assert (read.pop("includeCoachableEvents", None) == "true") == asked["include_coachable_events"]
    assert (read.pop("includeExternalIds", None) == "true") == asked["include_external_ids"]
    names = {
        "driverIds": "driver_ids",
        "coachIds": "coach_ids",
        "sessionStatuses": "session_statuses",
    }
    lists = {names[name]: value.split(",") for name, value in read.items()}
    assert lists == {name: asked[name] for name in names.values() if asked[name] is not None}


@given(arguments())
def test_the_same_arguments_make_the_same_bytes(asked):
    assert sessions_query(**asked) == sessions_query(**asked)
    assert sessions_query(**asked).wire.isascii()


@given(moments, st.timedeltas(timedelta(), timedelta(days=400)))
def test_rounding_leaves_nothing_out_and_keeps_equal_times_equal(start, length):
    end = start + length
    # A change to or from daylight saving time can reverse the two.
    if end < start:
        return
    read = dict(parse_qsl(sessions_query(start_time=start, end_time=end).wire))
    sent_start, sent_end = (datetime.fromisoformat(read[name]) for name in ("startTime", "endTime"))
    assert (sent_start == sent_end) == (start.astimezone(UTC) == end.astimezone(UTC))
    assert sent_start <= start
    assert sent_end >= end or sent_end == sent_start
    assert abs(sent_end - end) < timedelta(milliseconds=1)


def test_the_query_string_has_the_documented_form():
    eastern = timezone(-timedelta(hours=5))
    asked = sessions_query(
        start_time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=eastern),
        end_time=datetime(2026, 1, 2, 3, 4, 6, tzinfo=eastern),
        driver_ids=["2", "1"],
        coach_ids=["payroll:A+B%"],
        session_statuses=["deleted", "upcoming"],
        include_coachable_events=True,
        include_external_ids=True,
    )
    assert asked.wire == (
        "startTime=2026-01-02T08%3A04%3A05.678Z&endTime=2026-01-02T08%3A04%3A06Z"
        "&driverIds=2%2C1&coachIds=payroll%3AA%2BB%25&sessionStatuses=deleted%2Cupcoming"
        "&includeCoachableEvents=true&includeExternalIds=true"
    )
    assert asked.after("a+/= &") == asked.wire + "&after=a%2B%2F%3D%20%26"
    assert asked.after("") == asked.after(None) == asked.wire


def test_a_query_without_end_time_is_not_bounded():
    assert not sessions_query(start_time=START).bounded
    assert sessions_query(start_time=START, end_time=START).bounded
    assert query.assignments_query(query.Filters()).bounded


def test_assignment_queries():
    assert query.assignments_query(query.Filters()).after(None) == ""
    assert query.assignments_query(query.Filters()).after("c+") == "after=c%2B"
    filtered = query.assignments_query(
        query.Filters(driver_ids=["1", "key:v"], coach_ids=["7"], include_external_ids=True)
    )
    assert filtered.wire == "driverIds=1%2Ckey%3Av&coachIds=7&includeExternalIds=true"
    assert query.assign_query("1", "2&x=3") == "driverId=1&coachId=2%26x%3D3"
    assert query.unassign_query("1") == "driverId=1"


class NoTime(datetime):
    """Like ``pandas.NaT``, which calls itself a datetime."""

    def utcoffset(self):
        raise ValueError("NaTType does not support utcoffset")

    def isoformat(self, *_):
        return "NaT"


class NoZone(tzinfo):
    """A time zone that knows no offset: it raises, or returns what is none."""

    def __init__(self, offset=None):
        self._offset = offset

    def utcoffset(self, _):
        if self._offset is None:
            raise KeyError("no such zone")
        return self._offset

    dst = tzname = utcoffset


NO_TIME: dict[str, datetime] = {
    "no time": NoTime(2026, 1, 1),
    "a zone that raises": datetime(2026, 1, 1, tzinfo=NoZone()),
    "a zone with an odd offset": datetime(2026, 1, 1, tzinfo=NoZone("+01:00")),
    "a zone with an offset of days": datetime(2026, 1, 1, tzinfo=NoZone(timedelta(days=2))),
}


@pytest.mark.parametrize("time", NO_TIME.values(), ids=NO_TIME)
@pytest.mark.parametrize("argument", ["start_time", "end_time"])
def test_what_has_no_time_is_refused_by_name(argument, time):
    with pytest.raises(InvalidArgumentError, match=rf"^{argument}: this \w+ has no time in UTC"):
        sessions_query(**({"start_time": START} | {argument: time}))


BAD_SESSIONS = {
    "naive start": ("start_time", {"start_time": datetime(2026, 1, 1)}),  # noqa: DTZ001
    "no start": ("start_time", {"start_time": None}),
    "text start": ("start_time", {"start_time": "2026-01-01T00:00:00Z"}),
    "start out of range": (
        "start_time",
        {"start_time": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))},
    ),
    "naive end": ("end_time", {"end_time": datetime(2026, 3, 1)}),  # noqa: DTZ001
    "reversed": ("end_time", {"end_time": START - timedelta(microseconds=1)}),
    "end out of range": ("end_time", {"end_time": datetime.max.replace(tzinfo=UTC)}),
    "unknown status": ("session_statuses", {"session_statuses": ["upcoming", "incomplete"]}),
    "status 'unknown'": ("session_statuses", {"session_statuses": ["unknown"]}),
    "one status": ("session_statuses", {"session_statuses": "upcoming"}),
    "no statuses": ("session_statuses", {"session_statuses": []}),
    "no drivers": ("driver_ids", {"driver_ids": []}),
    "empty driver": ("driver_ids", {"driver_ids": ["1", ""]}),
    "blank driver": ("driver_ids", {"driver_ids": [" "]}),
    "comma": ("driver_ids", {"driver_ids": ["1,2"]}),
    "comma in the second": ("driver_ids", {"driver_ids": ["1", "2,3"]}),
    "number": ("driver_ids", {"driver_ids": [1]}),
    "one driver": ("driver_ids", {"driver_ids": "123"}),
    "unordered": ("driver_ids", {"driver_ids": {"1", "2"}}),
    "surrogate": ("driver_ids", {"driver_ids": ["\ud800"]}),
    "comma in coach": ("coach_ids", {"coach_ids": ["1,2"]}),
    "no coaches": ("coach_ids", {"coach_ids": ()}),
    "events": ("include_coachable_events", {"include_coachable_events": "false"}),
    "external ids": ("include_external_ids", {"include_external_ids": 1}),
}


@pytest.mark.parametrize(("argument", "given_"), BAD_SESSIONS.values(), ids=BAD_SESSIONS)
def test_the_error_names_the_bad_argument(argument, given_):
    with pytest.raises(InvalidArgumentError, match=f"^{argument}: ") as caught:
        sessions_query(**({"start_time": START} | given_))
    assert caught.value.argument == argument


@pytest.mark.parametrize("cursor", [7, b"x", "\udfff"])
def test_a_cursor_that_cannot_be_sent_is_refused(cursor):
    with pytest.raises(InvalidArgumentError, match="^after: "):
        query.cursor_argument(cursor)


def test_an_empty_cursor_means_the_first_page():
    assert query.cursor_argument("") is None
    assert query.cursor_argument(None) is None
    assert query.cursor_argument("x") == "x"


@pytest.mark.parametrize("bad", ["", " ", None, 7])
def test_a_change_needs_non_empty_ids(bad):
    with pytest.raises(InvalidArgumentError, match="^driver_id: "):
        query.assign_query(bad, "2")
    with pytest.raises(InvalidArgumentError, match="^coach_id: "):
        query.assign_query("1", bad)
    with pytest.raises(InvalidArgumentError, match="^driver_id: "):
        query.unassign_query(bad)

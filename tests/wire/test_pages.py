"""Decoding pages: whatever the bytes, only our own errors are raised."""

import copy
import json
import re
import time
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream import MalformedSessionError, UndecodableError
from coachstream.models import CoachingSession
from coachstream.wire import assignments, lenient, pages, records
from tests.support import payloads

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TIME = datetime(2019, 6, 13, 19, 8, 25, tzinfo=UTC)


@pytest.fixture
def _machine_in_new_york(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "EST5EDT")
        time.tzset()
        yield
    time.tzset()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def paths(value, path=()):
    """Yield the path of each part of a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*path, key))


WHOLE = json.loads(payloads.page(payloads.SESSION, payloads.LEAST_SESSION))
PATHS = [path for path in paths(WHOLE) if path]


@st.composite
def mutated_pages(draw):
    """A documented page in which a few values are replaced or missing."""
    page = copy.deepcopy(WHOLE)
    for path in draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=3)):
        inner = page
        try:
            for key in path[:-1]:
                inner = inner[key]
            if draw(st.booleans()):
                inner[path[-1]] = draw(json_values)
            else:
                del inner[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier mutation removed this path
    return json.dumps(page).encode()


@given(
    st.binary() | mutated_pages() | json_values.map(lambda v: json.dumps(v).encode()), st.booleans()
)
def test_any_bytes_are_a_page_or_our_own_error(body, keep_raw):
    for read in (pages.sessions_page, assignments.assignments_page, assignments.assignment_change):
        with suppress(UndecodableError):
            read(body)
    try:
        page = pages.sessions_page(body, keep_raw=keep_raw)
    except UndecodableError:
        return
    assert all(isinstance(one, CoachingSession | MalformedSessionError) for one in page.entries)
    assert len(page.sessions) + len(page.malformed) == len(page.entries)
    assert page.size == len(body)


@given(mutated_pages())
def test_keeping_raw_bytes_changes_nothing_else(body):
    try:
        plain = pages.sessions_page(body)
    except UndecodableError:
        with pytest.raises(UndecodableError):
            pages.sessions_page(body, keep_raw=True)
        return
    kept = pages.sessions_page(body, keep_raw=True)
    without = tuple(msgspec.structs.replace(one, raw=None) for one in kept.sessions)
    assert without == plain.sessions
    assert [one.raw for one in kept.malformed] == [one.raw for one in plain.malformed]
    assert kept.end_cursor == plain.end_cursor
    data = json.loads(body)["data"] or ()
    assert [json.loads(one.raw) for one in kept.entries if one.raw is not None] == list(data)


def test_the_error_of_an_undecodable_page_has_the_start_of_its_body():
    with pytest.raises(UndecodableError) as caught:
        pages.sessions_page(b"<html>" * 10_000)
    assert caught.value.body == (b"<html>" * 10_000)[:4096]


def test_deep_nesting_is_an_undecodable_page():
    with pytest.raises(UndecodableError):
        pages.sessions_page(b'{"data":' + b"[" * 100_000)


def test_a_malformed_session_does_not_affect_the_others():
    bad = payloads.SESSION | {"id": 7}
    page = pages.sessions_page(payloads.page(payloads.SESSION, bad, payloads.LEAST_SESSION))
    good, malformed, least = page.entries
    assert isinstance(good, CoachingSession)
    assert isinstance(least, CoachingSession)
    assert isinstance(malformed, MalformedSessionError)
    assert json.loads(malformed.raw) == bad
    assert malformed.session_id is None
    assert malformed.updated_at_time == datetime(2019, 6, 13, 19, 8, 25, tzinfo=UTC)
    assert "$.id" in str(malformed)


@pytest.mark.parametrize("missing", ["id", "driver", "updatedAtTime", "sessionStatus"])
def test_a_session_without_a_required_field_is_malformed(missing):
    bare = {name: value for name, value in payloads.SESSION.items() if name != missing}
    (malformed,) = pages.sessions_page(payloads.page(bare)).entries
    assert isinstance(malformed, MalformedSessionError)
    assert malformed.session_id == bare.get("id")


@pytest.mark.parametrize(
    "fields",
    [
        {"dueAtTime": ""},
        {"completedAtTime": ""},
        {"behaviors": None},
        {"sessionNote": None},
        {"behaviors": [payloads.SESSION["behaviors"][0] | {"lastCoachedTime": ""}]},
        {"behaviors": [payloads.SESSION["behaviors"][0] | {"coachableEvents": None}]},
        {"driver": {"driverId": "0987", "externalIds": None}},
    ],
    ids=str,
)
def test_null_and_empty_times_are_absent(fields):
    (session,) = pages.sessions_page(payloads.page(payloads.SESSION | fields)).entries
    assert isinstance(session, CoachingSession), session


def test_a_note_cut_off_within_a_character_is_decoded():
    note = payloads.SESSION["sessionNote"]
    cut = payloads.page(payloads.SESSION).replace(note.encode(), b"M\xc3")
    (session,) = pages.sessions_page(cut).entries
    assert isinstance(session, CoachingSession), session
    assert session.session_note == session.behaviors[0].note == "M\ufffd"
    (kept,) = pages.sessions_page(cut, keep_raw=True).sessions
    assert kept.raw is not None
    assert b"M\xc3" in kept.raw
    change = json.dumps({"data": payloads.CHANGE}).encode().replace(b"45646", b"4\xff")
    assert assignments.assignment_change(change).coach_id == "4\ufffd"


def test_unknown_values_and_fields_are_accepted():
    odd = payloads.SESSION | {"sessionStatus": "snoozed", "severity": {"of": ["a", "kind"]}}
    (plain,) = pages.sessions_page(payloads.page(odd)).sessions
    assert plain.session_status == "snoozed"
    (kept,) = pages.sessions_page(payloads.page(odd), keep_raw=True).sessions
    assert kept.raw is not None
    assert json.loads(kept.raw) == odd


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2019-06-13T19:08:25", TIME),
        ("2019-06-13T19:08Z", TIME.replace(second=0)),
        ("2019-06-13T19:08", TIME.replace(second=0)),
        ("2019-06-13", TIME.replace(hour=0, minute=0, second=0)),
        ("2019-06-13 21:08:25+0200", TIME),
        (1560452905, TIME),
        (1560452905.5, TIME.replace(microsecond=500_000)),
        (1560452905123, TIME.replace(microsecond=123_000)),
        ("1560452905000", TIME),
    ],
)
@pytest.mark.usefixtures("_machine_in_new_york")
def test_a_time_in_another_form_is_read_and_without_a_zone_in_utc(written, read):
    behavior = payloads.SESSION["behaviors"][0] | {"updatedAtTime": written}
    odd = {"updatedAtTime": written, "dueAtTime": written, "behaviors": [behavior]}
    (session,) = pages.sessions_page(payloads.page(payloads.SESSION | odd)).entries
    assert isinstance(session, CoachingSession), session
    assert (session.updated_at_time, session.due_at_time) == (read, read)
    assert session.behaviors[0].updated_at_time == read
    assert session.updated_at_time.utcoffset() is not None


@pytest.mark.parametrize("written", ["yesterday", "12:00", True, [], 1e300, 10**400, "9" * 400, {}])
def test_what_is_no_time_is_malformed(written):
    odd = payloads.SESSION | {"updatedAtTime": written}
    (malformed,) = pages.sessions_page(payloads.page(odd)).entries
    assert isinstance(malformed, MalformedSessionError)
    assert malformed.updated_at_time is None


def test_a_time_is_read_the_same_whatever_else_is_odd():
    """Or the version would have another key."""
    fine = payloads.SESSION | {"updatedAtTime": "2019-06-13T19:08:25.1234567+00:00"}
    odd = fine | {"sessionStatus": None}
    one, other = pages.sessions_page(payloads.page(fine, odd)).sessions
    assert one.key == other.key


def test_null_enumerations_are_unknown():
    behavior = payloads.SESSION["behaviors"][0] | {"coachableBehaviorType": None}
    odd = {"sessionStatus": None, "coachingType": None, "behaviors": [behavior]}
    (session,) = pages.sessions_page(payloads.page(payloads.SESSION | odd)).entries
    assert isinstance(session, CoachingSession), session
    assert session.session_status == session.coaching_type == "unknown"
    assert session.behaviors[0].coachable_behavior_type == "unknown"


def test_external_ids_are_read_as_text_whatever_their_names():
    ids = {"hireTime": "2019-06-13", "leaveTime": "", "sessionStatus": "x"}
    odd = {"driver": {"driverId": "1", "externalIds": ids}, "sessionStatus": None}
    (session,) = pages.sessions_page(payloads.page(payloads.SESSION | odd)).entries
    assert isinstance(session, CoachingSession), session
    assert session.driver.external_ids == ids


NO_JSON = {
    "not a number": b'{"id":"1","severity":NaN}',
    "a line break in a note": b'{"id":"1","sessionNote":"one\ntwo"}',
    "an unknown escape": b'{"id":"1","sessionNote":"\\x"}',
    "a trailing comma": b'{"id":"1",}',
    "no value": b'{"id":"1","sessionNote":}',
    "nested deep": b'{"id":"1","a":' + b"[" * 2000 + b"]" * 2000 + b"}",
    "no object": b"null",
}


@pytest.mark.parametrize("keep_raw", [False, True])
@pytest.mark.parametrize("odd", NO_JSON.values(), ids=NO_JSON)
def test_a_session_that_is_no_json_does_not_affect_the_others(odd, keep_raw):
    body = payloads.page(payloads.SESSION, "odd", payloads.LEAST_SESSION).replace(b'"odd"', odd)
    page = pages.sessions_page(body, keep_raw=keep_raw)
    good, malformed, least = page.entries
    assert isinstance(good, CoachingSession)
    assert isinstance(least, CoachingSession)
    assert isinstance(malformed, MalformedSessionError)
    assert malformed.raw == odd
    assert malformed.session_id == ("1" if b"id" in odd else None)
    assert (page.end_cursor, page.has_next_page) == ("MjkY", True)


UNCERTAIN = {
    "a quote in a note": b'{"id":"1","sessionNote":"5" off"}',
    "an open bracket": b'{"id":"1","a":[}',
    "an open object": b'{"id":"1"',
}


@pytest.mark.parametrize("odd", UNCERTAIN.values(), ids=UNCERTAIN)
def test_a_page_that_can_not_be_cut_is_one_malformed_session_in_the_end(odd):
    body = payloads.page(payloads.SESSION, "odd").replace(b'"odd"', odd)
    with pytest.raises(UndecodableError) as caught:
        pages.sessions_page(body)
    page = pages.unread_page(caught.value, body, received_at=NOW)
    (malformed,) = page.entries
    assert isinstance(malformed, MalformedSessionError)
    assert malformed.raw == body
    assert (page.end_cursor, page.has_next_page) == ("MjkY", True)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        payloads.page("odd").replace(b'"odd"', b'"odd') + payloads.page("odd"),
        b'{"data":["x", "pagination":{"endCursor":"a"}}',
        b'{"data":["x", "pagination":{"endCursor":"a","hasNextPage":true}, {}'[:50],
    ],
)
def test_a_page_that_does_not_say_where_to_go_on_stays_undecodable(body):
    with pytest.raises(UndecodableError) as caught:
        pages.sessions_page(body)
    with pytest.raises(UndecodableError):
        pages.unread_page(caught.value, body, received_at=NOW)


@given(st.lists(json_values, max_size=4), st.dictionaries(st.text(), json_values, max_size=4))
def test_json_is_cut_where_its_members_end(array, fields):
    for form in ({}, {"indent": 1}, {"ensure_ascii": False}):
        cut = records.elements(json.dumps(array, **form).encode())
        assert [json.loads(one) for one in cut] == array
        by_name = records.members(json.dumps(fields, **form).encode(errors="surrogatepass"))
        assert [json.loads(one) for one in by_name.values()] == [*fields.values()]


def test_brackets_of_another_kind_close_nothing():
    with pytest.raises(ValueError, match="brackets"):
        records.elements(b'[{"a":[},{"b":]}]')


@pytest.mark.parametrize("text", [b"", b"[1]", b"{", b"}", b'{"a":1}{"b":2}', b'{"a":1},', b"{1}"])
def test_text_that_is_no_object_is_not_cut(text):
    with pytest.raises(ValueError):  # noqa: PT011  # whichever
        records.members(text)


def repaired_step_by_step(text: str) -> str:
    """Replace lone surrogates as a reader of JSON meets them, one character after another."""
    escape = re.compile(r"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)")
    return escape.sub(lambda found: "\\ufffd" if found[1] else found[0], text)


@given(
    st.lists(
        st.sampled_from(["\\", "\\\\", "\\ud83d", "\\uDE00", "\\u0041", "u", "ud83d", "x", '"']),
        max_size=12,
    )
)
def test_only_lone_surrogates_are_replaced(parts):
    text = "".join(parts)
    assert lenient.repaired_text(text.encode()).decode() == repaired_step_by_step(text)


@pytest.mark.parametrize("escapes", ["\\\\", "\\ud83d\\ude00", "\\\\ud83d", "\\u0041", '\\"'])
def test_escapes_cost_little_more_than_other_text(escapes):
    """Or a page that is full of them would hold the event loop."""

    def seconds(note):
        body = payloads.page(payloads.SESSION | {"sessionNote": "?"})
        body = body.replace(b"?", f"{note}\\ud83d".encode())
        began = time.process_time()
        assert pages.sessions_page(body).sessions
        return time.process_time() - began

    length = 2_000_000
    took = min(seconds(escapes * (length // len(escapes))) for _ in range(3))
    assert took < 5 * min(seconds("a" * length) for _ in range(3))


@pytest.mark.parametrize("cursor", [{}, {"endCursor": None}, {"endCursor": ""}])
def test_a_missing_cursor_is_an_empty_one(cursor):
    body = json.dumps({"data": None, "pagination": {"hasNextPage": False} | cursor}).encode()
    page = pages.sessions_page(body)
    assert page.entries == ()
    assert page.end_cursor == ""


def test_a_page_without_data_is_refused():
    with pytest.raises(UndecodableError, match="data"):
        pages.sessions_page(b'{"pagination":{"endCursor":"x","hasNextPage":true}}')


def test_a_page_without_has_next_page_is_refused():
    with pytest.raises(UndecodableError, match="hasNextPage"):
        pages.sessions_page(b'{"data":[],"pagination":{"endCursor":"x"}}')

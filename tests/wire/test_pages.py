"""Decoding pages: whatever the bytes, only our own errors are raised."""

import copy
import json
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream import MalformedSessionError, UndecodableError
from coachstream.models import CoachingSession
from coachstream.wire import assignments, pages
from tests.support import payloads

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

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


def test_a_time_without_an_offset_is_malformed():
    odd = payloads.SESSION | {"updatedAtTime": "2019-06-13T19:08:25"}
    (malformed,) = pages.sessions_page(payloads.page(odd)).entries
    assert isinstance(malformed, MalformedSessionError)


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

"""Bytes to values: nothing but our own errors comes out."""

import copy
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream import ApiError, MalformedSessionError, UndecodableError, errors, wire
from coachstream.models import CoachingSession
from tests.support import payloads

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def pieces(value, path=()):
    """Every place in a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from pieces(value[key], (*path, key))


WHOLE = json.loads(payloads.page(payloads.SESSION, payloads.LEAST_SESSION))
PLACES = [path for path in pieces(WHOLE) if path]


@st.composite
def mutated_pages(draw):
    """A documented page in which a few places hold something else, or nothing."""
    page = copy.deepcopy(WHOLE)
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        inner = page
        try:
            for key in path[:-1]:
                inner = inner[key]
            if draw(st.booleans()):
                inner[path[-1]] = draw(json_values)
            else:
                del inner[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier mutation took the place away
    return json.dumps(page).encode()


@given(
    st.binary() | mutated_pages() | json_values.map(lambda v: json.dumps(v).encode()), st.booleans()
)
def test_any_bytes_are_a_page_or_our_own_error(body, keep_raw):
    for read in (wire.sessions_page, wire.assignments_page, wire.assignment_change):
        with suppress(UndecodableError):
            read(body)
    try:
        page = wire.sessions_page(body, keep_raw=keep_raw)
    except UndecodableError:
        return
    assert all(isinstance(one, CoachingSession | MalformedSessionError) for one in page.entries)
    assert len(page.sessions) + len(page.malformed) == len(page.entries)
    assert page.size == len(body)


@given(mutated_pages())
def test_keeping_raw_bytes_changes_nothing_else(body):
    try:
        plain = wire.sessions_page(body)
    except UndecodableError:
        with pytest.raises(UndecodableError):
            wire.sessions_page(body, keep_raw=True)
        return
    kept = wire.sessions_page(body, keep_raw=True)
    without = tuple(msgspec.structs.replace(one, raw=None) for one in kept.sessions)
    assert without == plain.sessions
    assert [one.raw for one in kept.malformed] == [one.raw for one in plain.malformed]
    assert kept.end_cursor == plain.end_cursor
    data = json.loads(body)["data"] or ()
    assert [json.loads(one.raw) for one in kept.entries if one.raw is not None] == list(data)


def test_an_undecodable_page_shows_its_start():
    with pytest.raises(UndecodableError) as caught:
        wire.sessions_page(b"<html>" * 10_000)
    assert caught.value.body == (b"<html>" * 10_000)[:4096]


def test_nesting_without_end_is_an_undecodable_page():
    with pytest.raises(UndecodableError):
        wire.sessions_page(b'{"data":' + b"[" * 100_000)


def test_one_bad_session_costs_no_other():
    bad = payloads.SESSION | {"id": 7}
    page = wire.sessions_page(payloads.page(payloads.SESSION, bad, payloads.LEAST_SESSION))
    good, malformed, least = page.entries
    assert isinstance(good, CoachingSession)
    assert isinstance(least, CoachingSession)
    assert isinstance(malformed, MalformedSessionError)
    assert json.loads(malformed.raw) == bad
    assert malformed.session_id is None
    assert malformed.updated_at_time == datetime(2019, 6, 13, 19, 8, 25, tzinfo=UTC)
    assert "$.id" in str(malformed)


@pytest.mark.parametrize("missing", ["id", "driver", "updatedAtTime", "sessionStatus"])
def test_a_session_without_its_core_is_malformed(missing):
    bare = {name: value for name, value in payloads.SESSION.items() if name != missing}
    (malformed,) = wire.sessions_page(payloads.page(bare)).entries
    assert isinstance(malformed, MalformedSessionError)
    assert malformed.session_id == bare.get("id")


@pytest.mark.parametrize(
    "oddity",
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
def test_null_and_empty_times_are_absent(oddity):
    (session,) = wire.sessions_page(payloads.page(payloads.SESSION | oddity)).entries
    assert isinstance(session, CoachingSession), session


def test_a_note_cut_off_within_a_character_is_read_all_the_same():
    note = payloads.SESSION["sessionNote"]
    cut = payloads.page(payloads.SESSION).replace(note.encode(), b"M\xc3")
    (session,) = wire.sessions_page(cut).entries
    assert isinstance(session, CoachingSession), session
    assert session.session_note == session.behaviors[0].note == "M\ufffd"
    (kept,) = wire.sessions_page(cut, keep_raw=True).sessions
    assert kept.raw is not None
    assert b"M\xc3" in kept.raw
    change = json.dumps({"data": payloads.CHANGE}).encode().replace(b"45646", b"4\xff")
    assert wire.assignment_change(change).coach_id == "4\ufffd"


def test_unknown_values_and_fields_pass():
    odd = payloads.SESSION | {"sessionStatus": "snoozed", "severity": {"of": ["a", "kind"]}}
    (plain,) = wire.sessions_page(payloads.page(odd)).sessions
    assert plain.session_status == "snoozed"
    (kept,) = wire.sessions_page(payloads.page(odd), keep_raw=True).sessions
    assert kept.raw is not None
    assert json.loads(kept.raw) == odd


def test_a_time_without_an_offset_is_malformed():
    odd = payloads.SESSION | {"updatedAtTime": "2019-06-13T19:08:25"}
    (malformed,) = wire.sessions_page(payloads.page(odd)).entries
    assert isinstance(malformed, MalformedSessionError)


@pytest.mark.parametrize("cursor", [{}, {"endCursor": None}, {"endCursor": ""}])
def test_no_cursor_is_an_empty_one(cursor):
    body = json.dumps({"data": None, "pagination": {"hasNextPage": False} | cursor}).encode()
    page = wire.sessions_page(body)
    assert page.entries == ()
    assert page.end_cursor == ""


def test_a_page_without_data_is_refused():
    with pytest.raises(UndecodableError, match="data"):
        wire.sessions_page(b'{"pagination":{"endCursor":"x","hasNextPage":true}}')


def test_a_page_that_does_not_say_whether_there_is_more_is_refused():
    with pytest.raises(UndecodableError, match="hasNextPage"):
        wire.sessions_page(b'{"data":[],"pagination":{"endCursor":"x"}}')


STATUSES = {
    307: errors.RedirectError,
    400: errors.BadRequestError,
    401: errors.UnauthorizedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    405: errors.MethodNotAllowedError,
    408: errors.RequestTimeoutError,
    413: errors.ContentTooLargeError,
    418: errors.ApiError,
    429: errors.RateLimitError,
    500: errors.InternalServerError,
    501: errors.NotImplementedApiError,
    502: errors.BadGatewayError,
    503: errors.ServiceUnavailableError,
    504: errors.GatewayTimeoutError,
    520: errors.ServerError,
}
TRANSIENT = {408, 429, 500, 502, 503, 504, 520}


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
def test_each_status_has_its_error(status, kind):
    body = json.dumps(payloads.ERROR).encode()
    error = wire.refusal(status, {"Request-Id": "h"}, body, now=NOW)
    assert type(error) is kind
    assert error.status == status
    assert error.message == "Invalid token."
    assert error.request_id == "h"
    assert error.body == body
    assert error.transient == (status in TRANSIENT)
    hint = f" ({kind.hint})" if kind.hint else ""
    assert str(error) == f"{status}: Invalid token.{hint} (request h)"


def test_the_request_id_may_stand_in_the_body_only():
    error = wire.refusal(500, {}, json.dumps(payloads.ERROR).encode(), now=NOW)
    assert error.request_id == "8916e1c1"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"404 page not found", "404 page not found"),
        (b"<html>\n <b>Bad   gateway", "<html> <b>Bad gateway"),
        (b"", "no message"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b'{"message": 7}', '{"message": 7}'),
    ],
)
def test_a_refusal_need_not_be_json(body, message):
    assert wire.refusal(502, {}, body, now=NOW).message == message


@given(st.integers(100, 999), st.dictionaries(st.text(), st.text()), st.binary(), st.text())
def test_any_refusal_is_an_api_error(status, headers, body, retry_after):
    error = wire.refusal(status, headers | {"Retry-After": retry_after}, body, now=NOW)
    assert isinstance(error, ApiError)
    assert error.retry_after is None or 0 <= error.retry_after < float("inf")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0.40235", 0.40235),
        ("30.5", 30.5),
        ("7", 7.0),
        (" 1.7 ", 1.7),
        ("0", 0.0),
        (".5", 0.5),
        ("Fri, 02 Jan 2026 03:04:35 GMT", 30.0),
        ("Fri, 02 Jan 2026 03:04:00 GMT", 0.0),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("9" * 400, 86_400.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_a_float_an_integer_or_a_date(value, seconds):
    assert wire.retry_after({"Retry-After": value}, now=NOW) == seconds


def test_no_retry_after_is_none():
    assert wire.retry_after({}, now=NOW) is None


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), st.integers(0, 86_400))  # noqa: DTZ001
def test_a_date_counts_from_the_servers_own_clock(date, seconds):
    form = "{:%a, %d %b %Y %H:%M:%S} GMT"
    headers = {
        "Date": form.format(date),
        "Retry-After": form.format(date + timedelta(seconds=seconds)),
    }
    assert wire.retry_after(headers, now=NOW) == seconds


@given(st.text())
def test_no_text_of_retry_after_breaks_anything(value):
    wire.retry_after({"Retry-After": value, "Date": value}, now=NOW)

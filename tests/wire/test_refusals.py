"""Error responses, and the headers ``Retry-After`` and ``Date``."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from coachstream import ApiError, errors
from coachstream.wire import refusals
from tests.support import payloads

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

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
    error = refusals.error_from_response(status, {"Request-Id": "h"}, body, now=NOW)
    assert type(error) is kind
    assert error.status == status
    assert error.message == "Invalid token."
    assert error.request_id == "h"
    assert error.body == body
    assert error.transient == (status in TRANSIENT)
    hint = f" ({kind.hint})" if kind.hint else ""
    assert str(error) == f"{status}: Invalid token.{hint} (request h)"


def test_the_request_id_may_be_in_the_body_only():
    error = refusals.error_from_response(500, {}, json.dumps(payloads.ERROR).encode(), now=NOW)
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
def test_an_error_response_need_not_be_json(body, message):
    assert refusals.error_from_response(502, {}, body, now=NOW).message == message


@pytest.mark.parametrize("as_json", [True, False])
def test_a_servers_words_are_printable_and_cut(as_json):
    words = "down\r\n2026-01-01 ERROR forged \x1b[2J\x07" + "!" * 60_000
    body = json.dumps({"message": words, "requestId": words}) if as_json else words
    error = refusals.error_from_response(500, {}, body.encode(), now=NOW)
    assert error.message.startswith("down 2026-01-01 ERROR forged \\x1b[2J\\x07!!")
    for shown in (str(error), error.message, error.request_id or "-"):
        assert shown.isprintable()
        assert len(shown) < 1_200
    header = refusals.error_from_response(500, {"Request-Id": words}, b"{}", now=NOW)
    assert str(header).isprintable()
    assert len(str(header)) < 1_200


@given(st.integers(100, 999), st.dictionaries(st.text(), st.text()), st.binary(), st.text())
def test_any_error_response_is_an_api_error(status, headers, body, retry_after):
    error = refusals.error_from_response(
        status, headers | {"Retry-After": retry_after}, body, now=NOW
    )
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
        ("3, 5", 5.0),
        ("5,3", 5.0),
        ("10, 20 , 15", 20.0),
        ("soon, 2", 2.0),
        ("3, Fri, 02 Jan 2026 03:04:35 GMT", 30.0),
        ("Fri, 02 Jan 2026 03:04:35 GMT, 90", 90.0),
        ("Friday, 02-Jan-26 03:04:35 GMT, 1", 30.0),
    ],
)
def test_retry_after_is_a_float_an_integer_or_a_date(value, seconds):
    assert refusals.retry_after({"Retry-After": value}, now=NOW) == seconds


def test_the_longest_of_several_retry_after_headers_counts():
    headers = CIMultiDict([("Retry-After", "3"), ("retry-after", "5"), ("Retry-After", "4")])
    assert refusals.retry_after(headers, now=NOW) == 5


def test_no_retry_after_is_none():
    assert refusals.retry_after({}, now=NOW) is None


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), st.integers(0, 86_400))  # noqa: DTZ001
def test_a_date_is_compared_with_the_servers_own_date(date, seconds):
    form = "{:%a, %d %b %Y %H:%M:%S} GMT"
    headers = {
        "Date": form.format(date),
        "Retry-After": form.format(date + timedelta(seconds=seconds)),
    }
    assert refusals.retry_after(headers, now=NOW) == seconds


@given(st.text())
def test_any_text_of_retry_after_is_accepted(value):
    refusals.retry_after({"Retry-After": value, "Date": value}, now=NOW)

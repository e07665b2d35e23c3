"""Errors: their attributes, pickling and copying."""

import copy
import pickle
from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from coachstream import (
    ApiError,
    CoachStreamError,
    InvalidArgumentError,
    MalformedAssignmentError,
    MalformedSessionError,
    RateLimitError,
    UndecodableError,
)

EXAMPLES = [
    CoachStreamError("x"),
    InvalidArgumentError("token", "is empty"),
    RateLimitError(
        429,
        "slow down",
        request_id="r",
        headers=CIMultiDict({"Retry-After": "1.5"}),
        body=b"slow down",
        retry_after=1.5,
    ),
    ApiError(418, "teapot"),
    UndecodableError("not a page", body=b"<html>"),
    MalformedAssignmentError("no coach", raw=b"{}" * 9000, driver_id="1"),
    MalformedSessionError(
        "no id", raw=b"{}", session_id=None, updated_at_time=datetime(2026, 1, 1, tzinfo=UTC)
    ),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "duplicate",
    [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy],  # noqa: S301
)
def test_an_error_survives_pickling_and_copying(error, duplicate):
    twin = duplicate(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)
    assert twin.transient == error.transient


def test_headers_are_found_in_any_case():
    (error,) = (one for one in EXAMPLES if isinstance(one, RateLimitError))
    assert error.headers["retry-after"] == "1.5"


def test_only_the_first_kilobytes_of_a_body_are_stored():
    assert len(ApiError(500, "x", body=b"x" * 10**6).body) == 4096
    assert len(UndecodableError("x", body=b"x" * 10**6).body) == 4096


def test_a_malformed_session_is_stored_whole():
    assert len(MalformedSessionError("x", raw=b"x" * 10**6).raw) == 10**6


def test_a_bad_argument_is_a_value_error_that_names_it():
    with pytest.raises(ValueError, match="^token: is empty$"):
        raise InvalidArgumentError("token", "is empty")


def test_the_message_of_a_malformed_session_is_printable_and_cut():
    odd = "\x1b[2J\n" + "x" * 60_000
    error = MalformedSessionError(odd, raw=b"{}", session_id=odd)
    assert str(error).isprintable()
    assert len(str(error)) < 1_100
    assert (error.problem, error.session_id) == (odd, odd)

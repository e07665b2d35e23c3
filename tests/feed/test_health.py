"""Quiet, throttled, retrying and stalled are different things."""

from datetime import UTC, datetime, timedelta

import pytest

from coachstream import ConnectError, Health, RateLimitError, StreamState
from coachstream.brief import brief_error
from coachstream.feed.health import GRACE, HealthMonitor
from coachstream.telemetry import (
    CallOverdue,
    CallReturned,
    CaughtUp,
    CheckpointSaved,
    ConsumerStopped,
    HandlerFailed,
    HandlersRecovered,
    HandlersStalled,
    LedgerFailed,
    LoadFailed,
    PageRead,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    SaveFailed,
    SessionGivenUp,
    StreamEnded,
    Throttled,
)

TODAY = datetime(2026, 1, 1, tzinfo=UTC)
STARTED = RequestStarted(route="r", attempt=1)
REFUSED = RequestFinished(route="r", attempt=1, status=401, seconds=1, size=0, request_id=None)


def read(sessions=1):
    return PageRead(sessions=sessions, repeated=0, malformed=0, size=1, has_next_page=True)


def monitor(*events):
    """A monitor that takes in one event each second, from second 1."""
    one = HealthMonitor(timeout=100, now=0)
    for second, event in enumerate(events, start=1):
        one.resumed()
        one.note(event, second)
    return one


def health(one, now, **known):
    return one.health(now=now, today=TODAY, **({"cursor_time": None, "watermark": None} | known))


RETRY = RetryScheduled(route="r", attempt=1, delay=4, error=ConnectError("no route"))
THROTTLE = RetryScheduled(route="r", attempt=1, delay=4, error=RateLimitError(429, "slow"))
SAVE_FAILED = SaveFailed(name="n", attempt=3, delay=4, error=OSError("disk full"))
LOAD_FAILED = LoadFailed(name="n", attempt=2, delay=4, error=OSError("no route to it"))
SAVED = CheckpointSaved(name="n", revision=1, seconds=0.1)
OVERDUE = CallOverdue(what="saving 'n'", seconds=30)
RETURNED = CallReturned(what="saving 'n'", seconds=50)
LEDGER_FAILED = LedgerFailed(
    name="n", session_id="s", attempt=3, delay=4, error=OSError("disk full")
)
GIVEN_UP = SessionGivenUp(name="n", session_id="s", outcome="parked", error=ValueError())
HANDLERS = HandlersStalled(name="n", seconds=60, running=3, unsettled=9)
RECOVERED = HandlersRecovered(name="n", seconds=90)


def consumer_stopped(error):
    return ConsumerStopped(name="n", handled=1, given_up=0, unsettled=0, error=error)


@pytest.mark.parametrize(
    ("events", "state", "since"),
    [
        ([], StreamState.STARTING, 0),
        ([STARTED], StreamState.STARTING, 0),
        ([STARTED, read()], StreamState.FOLLOWING, 2),
        ([read(), read()], StreamState.FOLLOWING, 1),
        ([read(), CaughtUp(delay=5)], StreamState.IDLE, 2),
        ([read(), CaughtUp(delay=5), STARTED, read(0), CaughtUp(delay=5)], StreamState.IDLE, 2),
        ([read(), CaughtUp(delay=5), STARTED, read(1)], StreamState.FOLLOWING, 4),
        ([STARTED, RETRY], StreamState.RETRYING, 2),
        ([STARTED, RETRY, STARTED], StreamState.RETRYING, 2),
        ([STARTED, RETRY, STARTED, read(0)], StreamState.FOLLOWING, 4),
        ([STARTED, THROTTLE], StreamState.THROTTLED, 2),
        ([Throttled(route="r", delay=9)], StreamState.THROTTLED, 1),
        ([read(), StreamEnded()], StreamState.STOPPED, 2),
        ([read(), StreamEnded(error=ConnectError("x")), STARTED], StreamState.RETRYING, 3),
        ([read(), StreamEnded(error=ConnectError("x")), STARTED, read()], StreamState.FOLLOWING, 4),
        ([LOAD_FAILED, LOAD_FAILED], StreamState.RETRYING, 1),
        ([LOAD_FAILED, STARTED, read()], StreamState.FOLLOWING, 3),
        ([read(), SAVE_FAILED, read(), SAVE_FAILED], StreamState.RETRYING, 2),
        ([read(), SAVE_FAILED, CaughtUp(delay=5), STARTED], StreamState.RETRYING, 2),
        ([read(), SAVE_FAILED, CaughtUp(delay=5), SAVED], StreamState.IDLE, 3),
        ([read(), OVERDUE], StreamState.STALLED, 2),
        ([read(), OVERDUE, CaughtUp(delay=5), RETURNED], StreamState.IDLE, 3),
        ([read(), OVERDUE, OVERDUE, RETURNED], StreamState.STALLED, 2),
        ([read(), OVERDUE, RETURNED, SAVE_FAILED], StreamState.RETRYING, 4),
        ([read(), CallOverdue(what="x", seconds=30), RETURNED], StreamState.STALLED, 2),
        ([read(), HANDLERS, HANDLERS, CaughtUp(delay=5)], StreamState.STALLED, 2),
        ([read(), HANDLERS, RECOVERED], StreamState.FOLLOWING, 1),
        ([read(), HANDLERS, consumer_stopped(None)], StreamState.FOLLOWING, 1),
        ([read(), LEDGER_FAILED, LEDGER_FAILED, CaughtUp(delay=5)], StreamState.RETRYING, 2),
        ([read(), LEDGER_FAILED, GIVEN_UP], StreamState.FOLLOWING, 1),
        ([read(), LEDGER_FAILED, consumer_stopped(None)], StreamState.FOLLOWING, 1),
        ([read(), SAVE_FAILED, OVERDUE, StreamEnded()], StreamState.STOPPED, 4),
        ([read(), StreamEnded(), HANDLERS], StreamState.STALLED, 3),
        ([read(), StreamEnded(), HANDLERS, RECOVERED], StreamState.STOPPED, 2),
        ([read(), StreamEnded(), HANDLERS, consumer_stopped(None)], StreamState.STOPPED, 2),
    ],
)
def test_events_add_up_to_a_state(events, state, since):
    seen = health(monitor(*events), now=10)
    assert seen.state == state
    assert seen.state_age == 10 - since


@pytest.mark.parametrize(("event", "lasts"), [(STARTED, 100), (RETRY, 4), (CaughtUp(delay=5), 5)])
def test_what_should_long_have_ended_has_stalled(event, lasts):
    one = monitor(event)
    assert health(one, now=1 + lasts + GRACE).state != StreamState.STALLED
    assert health(one, now=1 + lasts + GRACE + 0.1).state == StreamState.STALLED


@pytest.mark.parametrize("event", [THROTTLE, Throttled(route="r", delay=9)])
def test_waiting_for_a_limit_that_others_use_is_no_stall(event):
    assert health(monitor(event), now=1e9).state == StreamState.THROTTLED


@pytest.mark.parametrize("event", [REFUSED, Throttled(route="r", delay=9)])
def test_a_request_that_was_answered_or_held_is_due_no_more(event):
    assert health(monitor(STARTED, event), now=1e9).state != StreamState.STALLED


def test_the_users_own_time_is_no_stall():
    assert health(monitor(read()), now=1e9).state == StreamState.FOLLOWING


def test_waiting_for_a_turn_is_no_stall():
    one = monitor(CaughtUp(delay=5))
    one.expect_nothing()
    assert health(one, now=1e9).state == StreamState.IDLE


def test_ages_and_failures():
    one = monitor()
    one.answered(1)
    for event in (read(), RETRY, RETRY):
        one.note(event, 1)
    seen = health(
        one,
        now=10,
        cursor_time=TODAY - timedelta(days=3),
        watermark=TODAY - timedelta(seconds=7),
    )
    assert seen.answer_age == 9
    assert seen.cursor_age == timedelta(days=3).total_seconds()
    assert seen.lag == 7
    assert (seen.failures, seen.last_error) == (2, "ConnectError: no route")
    one.answered(11)
    seen = health(one, now=12)
    assert (seen.failures, seen.last_error, seen.answer_age) == (0, "ConnectError: no route", 1)


@pytest.mark.parametrize("failure", [RETRY, THROTTLE])
def test_a_page_that_came_ahead_ends_the_trouble_before_it_is_read(failure):
    one = monitor(read(), STARTED, failure, STARTED)
    one.answered(2)
    assert health(one, now=1e9).state == StreamState.FOLLOWING


def test_a_page_read_while_the_next_is_on_its_way_hides_no_stall():
    one = monitor(STARTED, read())
    assert health(one, now=1 + 100 + GRACE + 0.1).state == StreamState.STALLED


def test_what_is_still_under_way_after_the_end_does_not_bring_it_back():
    one = monitor(read(), StreamEnded(error=ConnectError("x")))
    for event in (STARTED, RETRY, read(), SAVE_FAILED, OVERDUE):
        one.note(event, 3)
    assert health(one, now=1e9).state == StreamState.STOPPED


def test_before_the_first_answer_there_are_no_ages():
    seen = health(monitor(), now=1)
    assert (seen.answer_age, seen.cursor_age, seen.lag, seen.last_error) == (None,) * 4


def test_failures_of_the_store_count_until_it_works():
    one = monitor(read(), RETRY, SAVE_FAILED)
    seen = health(one, now=9)
    assert (seen.failures, seen.last_error) == (1 + 3, "OSError: disk full")
    one.note(SAVED, 9)
    seen = health(one, now=9)
    assert (seen.failures, seen.last_error) == (1, "OSError: disk full")
    assert health(monitor(LOAD_FAILED), now=9).failures == 2


@pytest.mark.parametrize(
    "events",
    [
        [LOAD_FAILED],
        [RETRY],
        [consumer_stopped(OSError("x"))],
        [StreamEnded(), consumer_stopped(OSError("x"))],
        [StreamEnded(), SAVE_FAILED],
    ],
)
def test_the_last_error_is_the_last_failures(events):
    seen = health(monitor(StreamEnded(error=ConnectError("before")), *events), now=9)
    assert seen.last_error == brief_error(events[-1].error)


def test_a_failing_handler_is_no_failure_of_the_stream():
    failed = HandlerFailed(name="n", session_id="s", attempt=1, delay=1, error=KeyError("x"))
    assert health(monitor(read(), failed, consumer_stopped(None)), now=9).last_error is None


def test_health_as_plain_values():
    plain = health(monitor(read(), RETRY), now=9).to_dict()
    assert (plain["state"], type(plain["state"])) == ("retrying", str)
    assert plain.keys() == set(Health.__struct_fields__)
    assert all(isinstance(value, str | float | int | None) for value in plain.values())

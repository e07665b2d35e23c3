"""Events: the default observer logs them, and an observer that fails breaks nothing."""

import logging
import re
from datetime import UTC, datetime

import msgspec
import pytest

from coachstream import ConnectError, Event, MalformedSessionError, telemetry
from coachstream.observers import logging as log_lines
from coachstream.observers.logging import checked_observer, log_event
from coachstream.telemetry import guarded

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = [
    (telemetry.RequestStarted(route="GET /x", attempt=1), "requests", logging.DEBUG),
    (
        telemetry.RequestFinished(
            route="GET /x", attempt=1, status=200, seconds=0.1, size=3, request_id="r1"
        ),
        "requests",
        logging.DEBUG,
    ),
    (telemetry.TokenRenewed(), "requests", logging.INFO),
    (telemetry.TokenTrimmed(source="SAMSARA_API_TOKEN"), "requests", logging.WARNING),
    (
        telemetry.RetryScheduled(route="GET /x", attempt=2, delay=1.5, error=ConnectError("gone")),
        "retry",
        logging.WARNING,
    ),
    (telemetry.LimitLowered(route="GET /x", delay=0.4, pace=0.5), "limit", logging.WARNING),
    (telemetry.Throttled(route="GET /x", delay=0.4), "limit", logging.INFO),
    (
        telemetry.PageRead(sessions=2, repeated=0, malformed=0, size=10, has_next_page=False),
        "feed",
        logging.DEBUG,
    ),
    (telemetry.CaughtUp(delay=5), "feed", logging.DEBUG),
    (
        telemetry.BackfillProgress(
            windows=1, sessions=2, until=NOW, share=0.5, seconds_left=3, at_least=True
        ),
        "feed",
        logging.INFO,
    ),
    (telemetry.ShortPollInterval(poll_interval=1), "feed", logging.WARNING),
    (telemetry.CacheNoticed(route="GET /x"), "requests", logging.WARNING),
    (telemetry.PlainHttp(host="emulator"), "requests", logging.WARNING),
    (
        telemetry.SessionMalformed(error=MalformedSessionError("odd", raw=b"{}")),
        "feed",
        logging.ERROR,
    ),
    (telemetry.LoopBlocked(lag=0.7), "feed", logging.WARNING),
    (telemetry.HandlersRecovered(name="n", seconds=90), "consumer", logging.INFO),
    (
        telemetry.LoadFailed(name="n", attempt=1, delay=0.5, error=OSError("away")),
        "checkpoint",
        logging.WARNING,
    ),
    (telemetry.CallOverdue(what="saving", seconds=30), "feed", logging.WARNING),
    (telemetry.CallReturned(what="saving", seconds=40), "feed", logging.INFO),
    (
        telemetry.LedgerFailed(
            name="n", session_id="s", attempt=2, delay=1, error=OSError("disk full")
        ),
        "consumer",
        logging.WARNING,
    ),
    (
        telemetry.HandlersStalled(name="n", seconds=60, running=2, unsettled=5),
        "consumer",
        logging.WARNING,
    ),
    (telemetry.CursorAging(days=26), "feed", logging.WARNING),
    (
        telemetry.CursorExpired(reason="refused", start=NOW, watermark=None),
        "feed",
        logging.WARNING,
    ),
    (
        telemetry.CheckpointSaved(name="n", revision=1, seconds=0.1),
        "checkpoint",
        logging.DEBUG,
    ),
    (
        telemetry.SaveFailed(name="n", attempt=1, delay=1, error=OSError("x")),
        "checkpoint",
        logging.WARNING,
    ),
    (
        telemetry.HandlerFailed(
            name="n", session_id="s", attempt=1, delay=None, error=KeyError("x")
        ),
        "consumer",
        logging.WARNING,
    ),
    (
        telemetry.SessionGivenUp(name="n", session_id="s", outcome="parked", error=KeyError("x")),
        "consumer",
        logging.ERROR,
    ),
    (telemetry.ReadingPaused(name="n", unsettled=1, size=2), "consumer", logging.DEBUG),
    (
        telemetry.ConsumerStopped(name="n", handled=1, given_up=0, unsettled=0, error=None),
        "consumer",
        logging.INFO,
    ),
    (telemetry.StreamEnded(), "feed", logging.INFO),
    (telemetry.StreamEnded(error=ConnectError("gone")), "feed", logging.ERROR),
]


@pytest.mark.parametrize(("event", "logger", "level"), EVENTS, ids=lambda e: type(e).__name__)
def test_each_event_has_its_logger_and_level(event, logger, level, caplog):
    caplog.set_level(logging.DEBUG, "coachstream")
    log_event(event)
    (record,) = caplog.records
    assert (record.name, record.levelno) == (f"coachstream.{logger}", level)
    assert record.getMessage()


def test_no_line_has_a_plural_that_may_be_one():
    for *_, text in log_lines._LINES.values():
        assert not re.search(r"%\(\w+\)d [a-z]+(?![\w=])", text), text


def test_every_event_is_tested_here():
    kinds = {kind for kind in vars(telemetry).values() if isinstance(kind, type)}
    events = {kind for kind in kinds if issubclass(kind, Event)} - {Event}
    assert events == {type(event) for event, *_ in EVENTS}


def test_events_are_frozen():
    event = telemetry.CaughtUp(delay=5)
    with pytest.raises(AttributeError):
        event.delay = 6  # type: ignore[misc]
    assert msgspec.structs.asdict(event) == {"delay": 5}


def test_the_failure_of_an_observer_is_logged_and_breaks_nothing(caplog):
    def broken(event):
        raise ZeroDivisionError("mine")

    guarded(broken)(telemetry.CaughtUp(delay=5))
    (record,) = caplog.records
    assert record.name == "coachstream.observer"
    assert "CaughtUp" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


class Collected(list[Event]):
    """An observer that is empty, and so false, until the first event."""

    def __call__(self, event):
        self.append(event)


def test_an_observer_that_is_false_is_called_all_the_same(caplog):
    caplog.set_level(logging.DEBUG, "coachstream")
    collected = Collected()
    checked_observer(collected)(telemetry.StreamEnded())
    assert collected == [telemetry.StreamEnded()]
    assert caplog.records == []


def test_without_an_observer_events_are_logged(caplog):
    caplog.set_level(logging.DEBUG, "coachstream")
    checked_observer(None)(telemetry.StreamEnded())
    assert [record.message for record in caplog.records] == ["stream ended"]

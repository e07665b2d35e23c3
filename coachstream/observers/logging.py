"""The default observer: writes events to loggers, one per concern.

The loggers are ``coachstream.requests``, ``.retry``, ``.limit``, ``.feed``, ``.checkpoint`` and
``.consumer``, so that one can be silenced without the others.
"""

import logging

from .. import telemetry
from ..telemetry import Event

_requests = logging.getLogger("coachstream.requests")
_retry = logging.getLogger("coachstream.retry")
_limit = logging.getLogger("coachstream.limit")
_feed = logging.getLogger("coachstream.feed")
_checkpoint = logging.getLogger("coachstream.checkpoint")
_consumer = logging.getLogger("coachstream.consumer")


def log_event(event: Event) -> None:
    """Log the event; `Client` and `consume` use this if they are given no observer."""
    match event:
        case telemetry.RequestStarted():
            _requests.debug("request started: %s attempt=%d", event.route, event.attempt)
        case telemetry.RequestFinished():
            _requests.debug(
                "request finished: %s status=%d in %.3f s, %d bytes, request_id=%s",
                event.route,
                event.status,
                event.seconds,
                event.size,
                event.request_id,
            )
        case telemetry.TokenRenewed():
            _requests.info("token renewed after a 401")
        case telemetry.RetryScheduled():
            _retry.warning(
                "request failed: %s attempt=%d, retrying in %.2f s: %s",
                event.route,
                event.attempt,
                event.delay,
                event.error,
            )
        case telemetry.LimitLowered():
            _limit.warning(
                "rate limited (429): %s, pausing %.2f s, then %.0f %% of the rate",
                event.route,
                event.delay,
                100 * event.pace,
            )
        case telemetry.Throttled():
            _limit.info("request throttled: %s, waiting %.2f s", event.route, event.delay)
        case _:
            _log_feed_event(event)


def _log_feed_event(event: Event) -> None:
    match event:
        case telemetry.PageRead():
            _feed.debug(
                "page read: %d new sessions, %d repeated, %d malformed, has_next_page=%s",
                event.sessions,
                event.repeated,
                event.malformed,
                event.has_next_page,
            )
        case telemetry.CaughtUp():
            _feed.debug("caught up: next request in %.2f s", event.delay)
        case telemetry.BackfillProgress():
            _feed.info(
                "backfill read up to %s: %d sessions, %.0f %%, %.0f s left",
                event.until,
                event.sessions,
                100 * event.share,
                event.seconds_left,
            )
        case telemetry.SessionMalformed():
            _feed.error("malformed session: %s", event.error)
        case telemetry.ShortPollInterval():
            _feed.warning(
                "short poll_interval: %.2f s; the documented minimum is 5 s", event.poll_interval
            )
        case telemetry.LoopBlocked():
            _feed.warning("event loop blocked for %.2f s", event.lag)
        case telemetry.StreamEnded():
            if event.error is None:
                _feed.info("stream ended")
            else:
                _feed.error("stream failed: %s", event.error)
        case _:
            _log_position_event(event)


def _log_position_event(event: Event) -> None:
    match event:
        case telemetry.CursorAging():
            _feed.warning("cursor aging: %.0f days old, expires at 30 days", event.days)
        case telemetry.CursorDied():
            _feed.warning(
                "cursor dead (%s): resuming at %s; everything was read up to %s",
                event.reason,
                event.start,
                event.watermark,
            )
        case telemetry.CallOverdue():
            _feed.warning("call overdue: %s, not returned for %.0f s", event.what, event.seconds)
        case telemetry.CallReturned():
            _feed.info("call returned: %s, after %.0f s", event.what, event.seconds)
        case telemetry.CheckpointSaved():
            _checkpoint.debug(
                "checkpoint saved: %s revision=%d in %.3f s",
                event.name,
                event.revision,
                event.seconds,
            )
        case telemetry.SaveFailed():
            _checkpoint.warning(
                "checkpoint save failed: %s attempt=%d, retrying in %.2f s: %r",
                event.name,
                event.attempt,
                event.delay,
                event.error,
            )
        case _:
            _log_consumer_event(event)


def _log_consumer_event(event: Event) -> None:
    match event:
        case telemetry.HandlerFailed():
            _consumer.warning(
                "handler failed: %s session=%s attempt=%d, %s: %r",
                event.name,
                event.session_id,
                event.attempt,
                "no retry" if event.delay is None else f"retrying in {event.delay:.2f} s",
                event.error,
            )
        case telemetry.SessionGivenUp():
            _consumer.error(
                "session given up (%s): %s session=%s: %r",
                event.outcome,
                event.name,
                event.session_id,
                event.error,
            )
        case telemetry.HandlersStalled():
            _consumer.warning(
                "handlers stalled: %s, none of %d finished for %.0f s, %d sessions unsettled",
                event.name,
                event.running,
                event.seconds,
                event.unsettled,
            )
        case telemetry.ReadingPaused():
            _consumer.debug(
                "reading paused: %s, %d sessions unsettled", event.name, event.unsettled
            )
        case telemetry.ConsumerStopped():
            _consumer.info(
                "consumer stopped: %s handled=%d given_up=%d left=%d error=%r",
                event.name,
                event.handled,
                event.given_up,
                event.unsettled,
                event.error,
            )
        case _:
            _feed.debug("event: %r", event)

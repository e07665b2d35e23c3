"""The default listener: events as log records, one logger per concern.

They all stand below ``coachstream``: ``requests``, ``retry``, ``limit``, ``feed``, ``checkpoint``
and ``consumer``, so that one can be silenced without the others.
"""

import logging

from .. import telemetry as tell
from ..telemetry import Event

_requests = logging.getLogger("coachstream.requests")
_retry = logging.getLogger("coachstream.retry")
_limit = logging.getLogger("coachstream.limit")
_feed = logging.getLogger("coachstream.feed")
_checkpoint = logging.getLogger("coachstream.checkpoint")
_consumer = logging.getLogger("coachstream.consumer")


def log_event(event: Event) -> None:
    """Write the event to this library's loggers; what happens when no observer is given."""
    match event:
        case tell.RequestStarted():
            _requests.debug("%s: try %d leaves", event.route, event.attempt)
        case tell.RequestFinished():
            _requests.debug(
                "%s: %d in %.3f s, %d bytes (request %s)",
                event.route,
                event.status,
                event.seconds,
                event.size,
                event.request_id,
            )
        case tell.RetryScheduled():
            _retry.warning(
                "%s: try %d failed, next in %.2f s: %s",
                event.route,
                event.attempt,
                event.delay,
                event.error,
            )
        case tell.LimitLowered():
            _limit.warning(
                "%s: told to slow down; all hold for %.2f s, then at %.0f %% of the rate",
                event.route,
                event.delay,
                100 * event.pace,
            )
        case tell.Throttled():
            _limit.info("%s: waits %.2f s for the limit", event.route, event.delay)
        case _:
            _log_feed_event(event)


def _log_feed_event(event: Event) -> None:
    match event:
        case tell.TokenRenewed():
            _requests.info("the token was renewed")
        case tell.PageRead():
            _feed.debug(
                "page of %d sessions (%d repeated, %d malformed), %s",
                event.sessions,
                event.repeated,
                event.malformed,
                "more to come" if event.has_next_page else "nothing more now",
            )
        case tell.CaughtUp():
            _feed.debug("caught up; next question in %.2f s", event.delay)
        case tell.BackfillProgress():
            _feed.info(
                "the past is read up to %s: %d sessions, %.0f %%, %.0f s to go",
                event.until,
                event.sessions,
                100 * event.share,
                event.seconds_left,
            )
        case tell.SessionMalformed():
            _feed.error("a session can't be read: %s", event.error)
        case tell.ShortPollInterval():
            _feed.warning(
                "poll_interval is %.2f s; the documented minimum is 5 s", event.poll_interval
            )
        case tell.StreamEnded():
            if event.error is None:
                _feed.info("stream ended")
            else:
                _feed.error("stream failed: %s", event.error)
        case _:
            _log_cursor_event(event)


def _log_cursor_event(event: Event) -> None:
    match event:
        case tell.LoopBlocked():
            _feed.warning("the event loop stood still for %.2f s", event.lag)
        case tell.CursorAging():
            _feed.warning("the cursor is %.0f days old; it will expire at 30", event.days)
        case tell.CursorDied():
            _feed.warning(
                "the cursor is dead (%s); reading begins again at %s, and all was read up to %s",
                event.reason,
                event.start,
                event.watermark,
            )
        case tell.CheckpointSaved():
            _checkpoint.debug(
                "%s: revision %d saved in %.3f s", event.name, event.revision, event.seconds
            )
        case tell.SaveFailed():
            _checkpoint.warning(
                "%s: save %d failed, next in %.2f s: %r",
                event.name,
                event.attempt,
                event.delay,
                event.error,
            )
        case _:
            _log_consumer_event(event)


def _log_consumer_event(event: Event) -> None:
    match event:
        case tell.HandlerFailed():
            next_try = "given up" if event.delay is None else f"next in {event.delay:.2f} s"
            _consumer.warning(
                "%s: session %s, try %d failed, %s: %r",
                event.name,
                event.session_id,
                event.attempt,
                next_try,
                event.error,
            )
        case tell.SessionGivenUp():
            _consumer.error(
                "%s: session %s %s: %r", event.name, event.session_id, event.outcome, event.error
            )
        case tell.HandlersStalled():
            _consumer.warning(
                "%s: none of %d handlers has finished for %.0f s; %d sessions are unsettled",
                event.name,
                event.running,
                event.seconds,
                event.unsettled,
            )
        case tell.ReadingPaused():
            _consumer.debug(
                "%s: reading waits, with %d sessions unsettled", event.name, event.unsettled
            )
        case tell.ConsumerStopped():
            _consumer.info(
                "%s: stopped with %d handled, %d given up, %d left: %r",
                event.name,
                event.handled,
                event.given_up,
                event.unsettled,
                event.error,
            )
        case _:
            _feed.debug("%r", event)

"""The default observer: writes events to loggers, one per concern.

The loggers are ``coachstream.requests``, ``.retry``, ``.limit``, ``.feed``, ``.checkpoint`` and
``.consumer``, so that one can be silenced without the others.
"""

import logging
from logging import DEBUG, ERROR, INFO, WARNING
from typing import Any

from .. import telemetry
from ..arguments import sync_function
from ..brief import worded_error
from ..telemetry import Event, Observer, guarded

_requests = logging.getLogger("coachstream.requests")
_retry = logging.getLogger("coachstream.retry")
_limit = logging.getLogger("coachstream.limit")
_feed = logging.getLogger("coachstream.feed")
_checkpoint = logging.getLogger("coachstream.checkpoint")
_consumer = logging.getLogger("coachstream.consumer")

_Line = tuple[logging.Logger, int, str]
"""Where an event is logged, at which level, and as which text, filled with the event's fields."""

_LINES: dict[type[Event], _Line] = {
    telemetry.RequestStarted: (
        _requests,
        DEBUG,
        "request started: %(route)s attempt=%(attempt)d",
    ),
    telemetry.RequestFinished: (
        _requests,
        DEBUG,
        (
            "request finished: %(route)s status=%(status)d seconds=%(seconds).3f size=%(size)d "
            "request_id=%(request_id)s"
        ),
    ),
    telemetry.CacheNoticed: (
        _requests,
        WARNING,
        "response from a cache: %(route)s; while it answers, a stream sees nothing new",
    ),
    telemetry.TokenRenewed: (_requests, INFO, "token renewed after a 401"),
    telemetry.TokenTrimmed: (
        _requests,
        WARNING,
        "token trimmed: %(source)s ended with a line break, which was left out",
    ),
    telemetry.RetryScheduled: (
        _retry,
        WARNING,
        "request failed: %(route)s attempt=%(attempt)d, retrying in %(delay).2f s: %(error)s",
    ),
    telemetry.LimitLowered: (
        _limit,
        WARNING,
        "rate limited (429): %(route)s, pausing %(delay).2f s, then at %(pace).2f of the full rate",
    ),
    telemetry.Throttled: (
        _limit,
        INFO,
        "request throttled: %(route)s, waiting %(delay).2f s",
    ),
    telemetry.PageRead: (
        _feed,
        DEBUG,
        (
            "page read: sessions=%(sessions)d repeated=%(repeated)d malformed=%(malformed)d "
            "has_next_page=%(has_next_page)s"
        ),
    ),
    telemetry.CaughtUp: (_feed, DEBUG, "caught up: next request in %(delay).2f s"),
    telemetry.BackfillProgress: (
        _feed,
        INFO,
        (
            "backfill read up to %(until)s: sessions=%(sessions)d, %(share).2f of the time, "
            "%(at_least)s%(seconds_left).0f s left"
        ),
    ),
    telemetry.SessionMalformed: (_feed, ERROR, "malformed session: %(error)s"),
    telemetry.ShortPollInterval: (
        _feed,
        WARNING,
        "short poll_interval: %(poll_interval).2f s; the documented minimum is 5 s",
    ),
    telemetry.PlainHttp: (
        _requests,
        WARNING,
        "plain HTTP: everyone between here and %(host)s can read the token",
    ),
    telemetry.LoopBlocked: (_feed, WARNING, "event loop blocked for %(lag).2f s"),
    telemetry.CallOverdue: (
        _feed,
        WARNING,
        "call overdue: %(what)s has not returned for %(seconds).0f s",
    ),
    telemetry.CallReturned: (_feed, INFO, "call returned: %(what)s returned after %(seconds).0f s"),
    telemetry.CursorAging: (
        _feed,
        WARNING,
        "cursor aging: %(days).0f days old, expires at 30 days",
    ),
    telemetry.CursorExpired: (
        _feed,
        WARNING,
        "cursor expired (%(reason)s): restarting at %(start)s; all was read up to %(watermark)s",
    ),
    telemetry.StreamEnded: (_feed, INFO, "stream ended"),
    telemetry.CheckpointSaved: (
        _checkpoint,
        DEBUG,
        "checkpoint saved: %(name)s revision=%(revision)d seconds=%(seconds).3f",
    ),
    telemetry.LoadFailed: (
        _checkpoint,
        WARNING,
        (
            "checkpoint load failed: %(name)s attempt=%(attempt)d, retrying in %(delay).2f s: "
            "%(error)s"
        ),
    ),
    telemetry.SaveFailed: (
        _checkpoint,
        WARNING,
        (
            "checkpoint save failed: %(name)s attempt=%(attempt)d, retrying in %(delay).2f s: "
            "%(error)s"
        ),
    ),
    telemetry.HandlerFailed: (
        _consumer,
        WARNING,
        (
            "handler failed: %(name)s session=%(session_id)s attempt=%(attempt)d "
            "retry_in=%(delay)s: %(error)s"
        ),
    ),
    telemetry.SessionGivenUp: (
        _consumer,
        ERROR,
        "session given up (%(outcome)s): %(name)s session=%(session_id)s: %(error)s",
    ),
    telemetry.LedgerFailed: (
        _consumer,
        WARNING,
        (
            "ledger failed: %(name)s session=%(session_id)s attempt=%(attempt)d, "
            "retrying in %(delay).2f s: %(error)s"
        ),
    ),
    telemetry.HandlersStalled: (
        _consumer,
        WARNING,
        (
            "handlers stalled: %(name)s, one has run for %(seconds).0f s, running=%(running)d "
            "unsettled=%(unsettled)d"
        ),
    ),
    telemetry.HandlersRecovered: (
        _consumer,
        INFO,
        "handlers recovered: %(name)s, stalled for %(seconds).0f s",
    ),
    telemetry.ReadingPaused: (
        _consumer,
        DEBUG,
        "reading paused: %(name)s unsettled=%(unsettled)d",
    ),
    telemetry.ConsumerStopped: (
        _consumer,
        INFO,
        (
            "consumer stopped: %(name)s handled=%(handled)d given_up=%(given_up)d "
            "unsettled=%(unsettled)d"
        ),
    ),
}

_FAILURES: dict[type[Event], _Line] = {
    telemetry.StreamEnded: (_feed, ERROR, "stream failed: %(error)s"),
    telemetry.ConsumerStopped: (
        _consumer,
        ERROR,
        (
            "consumer failed: %(name)s handled=%(handled)d given_up=%(given_up)d "
            "unsettled=%(unsettled)d error=%(error)s"
        ),
    ),
}
"""Lines for events that mark an end, if it came with an error."""

_OF_A_STORE = (telemetry.LoadFailed, telemetry.SaveFailed)
"""Events whose errors are shown in a store's own words: they are about positions, not people."""


def checked_observer(observer: Observer | None) -> Observer:
    """Return the user's observer, or the default one, with its exceptions logged.

    Raises:
        InvalidArgumentError: it is not a function, or an async one.
    """
    if observer is None:
        return guarded(log_event)
    sync_function("observer", observer)
    return guarded(observer)


def log_event(event: Event) -> None:
    """Log the event; this is the observer of those who give none."""
    kind = type(event)
    line = _FAILURES.get(kind) if getattr(event, "error", None) is not None else None
    logger, level, text = line or _LINES.get(kind) or (_feed, DEBUG, "event: %(event)r")
    if logger.isEnabledFor(level):
        logger.log(level, text, _shown(event))


def _shown(event: Event) -> dict[str, Any]:
    """Return what a line may show: the fields, with errors in brief."""
    fields = dict(event.__rich_repr__())
    if isinstance(event, _OF_A_STORE):
        fields["error"] = worded_error(event.error)
    if isinstance(event, telemetry.BackfillProgress):
        fields["at_least"] = "at least " if event.at_least else ""
    return {"event": event, **fields}

"""What happens inside, as frozen values for one callable; logging is the default listener.

An event is announced before the wait it tells of, so that what is stuck is visible while it is
stuck. Log records go to one logger per concern, all below ``coachstream``: ``requests``, ``retry``,
``limit``, ``feed``.
"""

import logging
from collections.abc import Callable

import msgspec

from .errors import CoachStreamError, MalformedSessionError

_requests = logging.getLogger("coachstream.requests")
_retry = logging.getLogger("coachstream.retry")
_limit = logging.getLogger("coachstream.limit")
_feed = logging.getLogger("coachstream.feed")
_observer = logging.getLogger("coachstream.observer")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, or is about to."""


class RequestStarted(Event, frozen=True, kw_only=True):
    """A request is about to leave."""

    route: str
    """Method and path."""
    attempt: int
    """1 for the first try."""


class RequestFinished(Event, frozen=True, kw_only=True):
    """An answer came back whole, whatever it says."""

    route: str
    attempt: int
    status: int
    seconds: float
    """From leaving to the last byte."""
    size: int
    """Bytes of the body, decompressed."""
    request_id: str | None


class RetryScheduled(Event, frozen=True, kw_only=True):
    """A try failed; the next one comes in ``delay`` seconds."""

    route: str
    attempt: int
    """The try that failed."""
    delay: float
    error: CoachStreamError


class LimitLowered(Event, frozen=True, kw_only=True):
    """A 429 came: all callers of this limit hold for ``delay`` seconds, then go on more slowly."""

    route: str
    delay: float
    pace: float
    """The share of the full rate that is now used; it creeps back to 1."""


class Throttled(Event, frozen=True, kw_only=True):
    """A request waits ``delay`` seconds, because someone was told to slow down."""

    route: str
    delay: float


class TokenRenewed(Event, frozen=True, kw_only=True):
    """The token provider was asked again after a 401 and gave another token."""


class PageRead(Event, frozen=True, kw_only=True):
    """A page of sessions was read."""

    sessions: int
    """Those that are new to this reader."""
    repeated: int
    """Those dropped because this reader had them already."""
    malformed: int
    size: int
    """Bytes of the page."""
    has_next_page: bool


class CaughtUp(Event, frozen=True, kw_only=True):
    """There is nothing more to read now; the next question is asked in ``delay`` seconds."""

    delay: float


class SessionMalformed(Event, frozen=True, kw_only=True):
    """A session that can't be read was met."""

    error: MalformedSessionError


class ShortPollInterval(Event, frozen=True, kw_only=True):
    """The poll interval asked for is below the documented five seconds."""

    poll_interval: float


class StreamEnded(Event, frozen=True, kw_only=True):
    """A stream came to its end time, was closed, or failed with ``error``."""

    error: Exception | None = None


Observer = Callable[[Event], None]
"""Called with every event, on the event loop: it must not block."""


def log_event(event: Event) -> None:
    """Write the event to this library's loggers; what happens when no observer is given."""
    match event:
        case RequestStarted():
            _requests.debug("%s: try %d leaves", event.route, event.attempt)
        case RequestFinished():
            _requests.debug(
                "%s: %d in %.3f s, %d bytes (request %s)",
                event.route,
                event.status,
                event.seconds,
                event.size,
                event.request_id,
            )
        case RetryScheduled():
            _retry.warning(
                "%s: try %d failed, next in %.2f s: %s",
                event.route,
                event.attempt,
                event.delay,
                event.error,
            )
        case LimitLowered():
            _limit.warning(
                "%s: told to slow down; all hold for %.2f s, then at %.0f %% of the rate",
                event.route,
                event.delay,
                100 * event.pace,
            )
        case Throttled():
            _limit.info("%s: waits %.2f s for the limit", event.route, event.delay)
        case _:
            _log_feed_event(event)


def _log_feed_event(event: Event) -> None:
    match event:
        case TokenRenewed():
            _requests.info("the token was renewed")
        case PageRead():
            _feed.debug(
                "page of %d sessions (%d repeated, %d malformed), %s",
                event.sessions,
                event.repeated,
                event.malformed,
                "more to come" if event.has_next_page else "nothing more now",
            )
        case CaughtUp():
            _feed.debug("caught up; next question in %.2f s", event.delay)
        case SessionMalformed():
            _feed.error("a session can't be read: %s", event.error)
        case ShortPollInterval():
            _feed.warning(
                "poll_interval is %.2f s; the documented minimum is 5 s", event.poll_interval
            )
        case StreamEnded():
            if event.error is None:
                _feed.info("stream ended")
            else:
                _feed.error("stream failed: %s", event.error)
        case _:
            _feed.debug("%r", event)


def guarded(observer: Observer) -> Observer:
    """Return an observer that can't break what it observes: its own failures are logged."""

    def observe(event: Event) -> None:
        try:
            observer(event)
        except Exception:  # noqa: BLE001  # whatever it is, it is the observer's, and is logged
            _observer.exception("the observer failed on %s", type(event).__name__)

    return observe

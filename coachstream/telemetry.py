"""What happens inside, as frozen values for one callable.

An event is announced before the wait it tells of, so that what is stuck is visible while it is
stuck.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

import msgspec

from .errors import CoachStreamError, MalformedSessionError

_log = logging.getLogger("coachstream.observer")


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


class BackfillProgress(Event, frozen=True, kw_only=True):
    """A window of the past has been handed over, and with it all before."""

    windows: int
    """Windows handed over in this run."""
    sessions: int
    """Sessions handed over in this run."""
    until: datetime
    """All that was updated before then has been handed over."""
    share: float
    """How much of the time to be read has been, from 0 to 1."""
    seconds_left: float
    """An estimate, as if what is left were as dense as what has been read."""


class SessionMalformed(Event, frozen=True, kw_only=True):
    """A session that can't be read was met."""

    error: MalformedSessionError


class ShortPollInterval(Event, frozen=True, kw_only=True):
    """The poll interval asked for is below the documented five seconds."""

    poll_interval: float


class CursorAging(Event, frozen=True, kw_only=True):
    """The cursor has not moved for so many days that it may soon expire."""

    days: float


class CursorDied(Event, frozen=True, kw_only=True):
    """The cursor is dead, and reading begins again at ``start``, with an overlap.

    What was updated in between comes; what the server no longer tells can't be known.
    """

    reason: str
    start: datetime
    watermark: datetime | None
    """Up to where all had been read."""


class LoopBlocked(Event, frozen=True, kw_only=True):
    """The event loop, or the whole machine, stood still: nothing could be read meanwhile.

    A handler that computes for long does this; ``await asyncio.to_thread(...)`` helps.
    """

    lag: float
    """Seconds by which a wait of ours was too long."""


class HandlersStalled(Event, frozen=True, kw_only=True):
    """A consumer waits for its handlers, and none has finished for long."""

    name: str
    seconds: float
    """Since the last one finished, or since it began to wait."""
    running: int
    """Handlers that run."""
    unsettled: int
    """Sessions that were read and not settled."""


class CheckpointSaved(Event, frozen=True, kw_only=True):
    """A store has taken a checkpoint."""

    name: str
    revision: int
    seconds: float


class SaveFailed(Event, frozen=True, kw_only=True):
    """A store failed; the next try comes in ``delay`` seconds."""

    name: str
    attempt: int
    delay: float
    error: Exception


class HandlerFailed(Event, frozen=True, kw_only=True):
    """A handler raised; the next try comes in ``delay`` seconds, or for None there is none."""

    name: str
    session_id: str | None
    attempt: int
    delay: float | None
    error: Exception


class SessionGivenUp(Event, frozen=True, kw_only=True):
    """A session was settled without having been handled."""

    name: str
    session_id: str | None
    outcome: str
    """``skipped`` or ``parked``."""
    error: Exception


class ReadingPaused(Event, frozen=True, kw_only=True):
    """Reading waits for handlers to catch up."""

    name: str
    unsettled: int
    """Sessions read and not settled."""
    size: int
    """Bytes of the pages they came in."""


class ConsumerStopped(Event, frozen=True, kw_only=True):
    """A consumer has stopped, saved and let go."""

    name: str
    handled: int
    given_up: int
    unsettled: int
    """Sessions read and not settled; they come again."""
    error: Exception | None


class StreamEnded(Event, frozen=True, kw_only=True):
    """A stream came to its end time, was closed, or failed with ``error``."""

    error: Exception | None = None


Observer = Callable[[Event], None]
"""Called with every event, on the event loop: it must not block."""


def guarded(observer: Observer) -> Observer:
    """Return an observer that can't break what it observes: its own failures are logged."""

    def observe(event: Event) -> None:
        try:
            observer(event)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001  # whatever it is, it is the observer's, and is logged
            _log.exception("the observer failed on %s", type(event).__name__)

    return observe

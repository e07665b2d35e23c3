"""What a stream is doing, readable at any moment: idle, throttled, retrying, stalled."""

from collections import Counter
from datetime import datetime
from enum import StrEnum

from ..brief import brief_error
from ..clock import Clock
from ..errors import RateLimitError
from ..models import Plain
from ..telemetry import (
    CallOverdue,
    CallReturned,
    CaughtUp,
    CheckpointSaved,
    ConsumerStopped,
    Event,
    HandlersRecovered,
    HandlersStalled,
    LedgerFailed,
    LoadFailed,
    Observer,
    PageRead,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    SaveFailed,
    SessionGivenUp,
    StreamEnded,
    Throttled,
)

GRACE = 30.0
"""Seconds something may be overdue before it counts as stalled."""


class StreamState(StrEnum):
    """What a stream is doing.

    Attributes:
        STARTING: There has been no good response yet.
        FOLLOWING: It reads, or waits until you ask for the next session.
        IDLE: It has caught up and waits before the next poll.
        THROTTLED: It waits because the server has refused a request with a 429.
        RETRYING: The last request, load or save failed, or the ledger did, and the next try is
            scheduled or under way.
        STALLED: Something takes much longer than it should, although there was no error: a request,
            a store, a callback, or a consumer's handler.
        STOPPED: It has reached its end time, was closed, or failed. What was read may still be
            handled.
    """

    STARTING = "starting"
    FOLLOWING = "following"
    IDLE = "idle"
    THROTTLED = "throttled"
    RETRYING = "retrying"
    STALLED = "stalled"
    STOPPED = "stopped"


class Health(Plain, frozen=True, kw_only=True):
    """A snapshot of a stream. Ages are seconds.

    Attributes:
        state: What it is doing.
        state_age: Since the state began.
        answer_age: Since the last good response; None: there was none yet.
        cursor_age: Since the server gave the cursor of the stream's position; cursors live 30 days.
            None: there is no cursor yet, or it was given as ``after``.
        lag: From the latest ``updated_at_time`` that you have settled to now; None: nothing is
            settled yet. It also grows while the feed is quiet, so read it together with the state.
        failures: Requests that failed since the last good response, and tries of the store or the
            ledger that failed since it last worked.
        last_error: The last failure, even if all succeeds again.
        from_cache: Whether the last response came from a cache, so that what is new may not be
            seen: that of the aiohttp session given as ``http``, or one on the way (by the header
            ``Age``).
    """

    state: StreamState
    state_age: float
    answer_age: float | None
    cursor_age: float | None
    lag: float | None
    failures: int
    last_error: str | None
    from_cache: bool


class _Trouble:
    """Something that is wrong beside the reading of pages."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.failures = 0

    def note(self, now: float, failures: int = 0) -> None:
        self.since = now if self.since is None else self.since
        self.failures = failures

    def end(self) -> None:
        self.since, self.failures = None, 0


_FAILURES = (StreamEnded, RetryScheduled, SaveFailed, LoadFailed, LedgerFailed, ConsumerStopped)
"""Events whose error is a stream's last error; a failing handler's is not."""


class HealthMonitor:
    """Derives a stream's state from its events."""

    def __init__(self, *, timeout: float, now: float) -> None:
        self._timeout = timeout
        self._state = StreamState.STARTING
        self._since = now
        self._due: float | None = None  # when the state should have ended
        self._response_due: float | None = None
        self._ended = False
        self._failures = 0
        self._last_error: str | None = None
        self._last_response: float | None = None
        self._from_cache = False
        self._loads = _Trouble()
        self._saves = _Trouble()
        self._ledger = _Trouble()
        self._asked = (self._loads, self._saves, self._ledger)
        self._overdue: Counter[str] = Counter()
        self._calls = _Trouble()
        self._handlers = _Trouble()

    def observing(self, observer: Observer, clock: Clock) -> Observer:
        """Return an observer that notes each event here, and passes it on to ``observer``."""

        def observe(event: Event) -> None:
            self.note(event, clock.monotonic())
            observer(event)

        return observe

    def note(self, event: Event, now: float) -> None:
        """Note an event. After the end of the stream, its state does not change any more."""
        self._note_others(event, now)
        if isinstance(event, StreamEnded):
            self._response_due = None
            self._ended = True
            self._enter(StreamState.STOPPED, now)
        elif not self._ended:
            self._note(event, now)

    def _note_others(self, event: Event, now: float) -> None:
        """Note how the store, callbacks and a consumer are; and whatever failed."""
        if isinstance(event, _FAILURES) and event.error is not None:
            self._last_error = brief_error(event.error)
        match event:
            case LoadFailed():
                self._loads.note(now, event.attempt)
            case RequestStarted():
                self._loads.end()  # nothing is requested before the position is loaded
            case SaveFailed():
                self._saves.note(now, event.attempt)
            case CheckpointSaved():
                self._saves.end()
            case CallOverdue() | CallReturned():
                self._note_call(event, now)
            case _:
                self._note_consumer(event, now)

    def _note_consumer(self, event: Event, now: float) -> None:
        match event:
            case HandlersStalled():
                self._handlers.note(now)
            case LedgerFailed():
                self._ledger.note(now, event.attempt)
            case SessionGivenUp():
                self._ledger.end()
            case HandlersRecovered():
                self._handlers.end()
            case ConsumerStopped():
                self._handlers.end()
                self._ledger.end()
            case _:
                pass

    def _note_call(self, event: CallOverdue | CallReturned, now: float) -> None:
        if isinstance(event, CallOverdue):
            self._overdue[event.what] += 1
            self._calls.note(now)
            return
        self._overdue -= Counter([event.what])
        if not self._overdue:
            self._calls.end()

    def _note(self, event: Event, now: float) -> None:
        match event:
            case RequestStarted():
                # It is still retrying, idle or throttled until the response is there.
                if self._state is StreamState.STOPPED:
                    self._enter(StreamState.RETRYING, now)
                self._response_due = now + self._timeout
            case RetryScheduled():
                self._response_due = None
                self._failures += 1
                if isinstance(event.error, RateLimitError):
                    # How long other streams make it wait is not known here.
                    self._enter(StreamState.THROTTLED, now)
                else:
                    self._enter(StreamState.RETRYING, now, lasting=event.delay)
            case RequestFinished():
                self._response_due = None
                self._from_cache = event.from_cache
            case Throttled():
                self._response_due = None  # it may have been about to be sent
                self._enter(StreamState.THROTTLED, now)
            case CaughtUp():
                self._enter(StreamState.IDLE, now, lasting=event.delay)
            case PageRead():
                still_idle = self._state is StreamState.IDLE and not event.sessions
                self._enter(StreamState.IDLE if still_idle else StreamState.FOLLOWING, now)
            case _:
                pass  # says nothing about what the stream is doing

    def resumed(self) -> None:
        """Note that somebody reads on after an end."""
        self._ended = False

    def answered(self, now: float) -> None:
        """Note a good response; nothing of it may have been read yet."""
        self._failures = 0
        self._last_response = now
        self._response_due = None
        if self._state in {StreamState.RETRYING, StreamState.THROTTLED}:
            self._enter(StreamState.FOLLOWING, now)

    def expect_nothing(self) -> None:
        """Note that the next step may take any time: the wait at the limiter."""
        self._due = None

    def health(
        self,
        *,
        now: float,
        today: datetime,
        cursor_time: datetime | None,
        watermark: datetime | None,
    ) -> Health:
        """Return the snapshot."""
        state, since = self._state_now(now)
        return Health(
            state=state,
            state_age=now - since,
            answer_age=None if self._last_response is None else now - self._last_response,
            cursor_age=_age(cursor_time, today),
            lag=_age(watermark, today),
            failures=self._failures + sum(one.failures for one in self._asked),
            last_error=self._last_error,
            from_cache=self._from_cache,
        )

    def _state_now(self, now: float) -> tuple[StreamState, float]:
        """Return the state and when it began: the worst of all that is known."""
        if self._ended and self._handlers.since is None:  # a consumer's may go on after the end
            return self._state, self._since
        for trouble in (self._calls, self._handlers):
            if trouble.since is not None:
                return StreamState.STALLED, trouble.since
        dues = [due for due in (self._due, self._response_due) if due is not None]
        if any(now > due + GRACE for due in dues):
            return StreamState.STALLED, self._since
        for trouble in self._asked:
            if trouble.since is not None:
                return StreamState.RETRYING, trouble.since
        return self._state, self._since

    def _enter(self, state: StreamState, now: float, *, lasting: float | None = None) -> None:
        if state is not self._state:
            self._state, self._since = state, now
        self._due = None if lasting is None else now + lasting


def _age(moment: datetime | None, today: datetime) -> float | None:
    return None if moment is None else max(0.0, (today - moment).total_seconds())

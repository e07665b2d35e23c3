"""Events of streams, stores and consumers."""

from datetime import datetime

from ..errors import MalformedSessionError
from ..event import Event


class PageRead(Event, frozen=True, kw_only=True):
    """A page of sessions was read.

    Attributes:
        sessions: Sessions that are new to this reader, malformed ones included.
        repeated: Sessions that were dropped, because this reader had read them before.
        malformed: New sessions that can't be decoded.
        size: Bytes of the page.
    """

    sessions: int
    repeated: int
    malformed: int
    size: int
    has_next_page: bool


class CaughtUp(Event, frozen=True, kw_only=True):
    """There is nothing more to read now; the next request follows in ``delay`` seconds."""

    delay: float


class BackfillProgress(Event, frozen=True, kw_only=True):
    """A backfill has delivered a window of time, and all windows before it.

    Attributes:
        windows: Windows delivered in this run.
        sessions: Sessions delivered in this run.
        until: Every version with an earlier ``updated_at_time`` has been delivered.
        share: The share of the time range that has been delivered, from 0 to 1.
        seconds_left: Estimated seconds to the end: by the pages that are left, if they lie as
            densely as those read last, and by how long a page has taken.
        at_least: Whether it may take much longer, because nobody has looked into some of the rest.
    """

    windows: int
    sessions: int
    until: datetime
    share: float
    seconds_left: float
    at_least: bool


class SessionMalformed(Event, frozen=True, kw_only=True):
    """A session that can't be decoded was read."""

    error: MalformedSessionError


class ShortPollInterval(Event, frozen=True, kw_only=True):
    """The given poll interval, in seconds, is below the documented minimum of five."""

    poll_interval: float


class CursorAging(Event, frozen=True, kw_only=True):
    """The cursor has not moved for ``days`` days; cursors expire after 30."""

    days: float


class CursorExpired(Event, frozen=True, kw_only=True):
    """The cursor is dead (expired or refused). Reading resumes at ``start``, with an overlap.

    Sessions updated meanwhile are delivered, as far as the server still reports them.

    Attributes:
        watermark: The ``updated_at_time`` up to which everything had been read; None: nothing had.
    """

    reason: str
    start: datetime
    watermark: datetime | None


class LoopBlocked(Event, frozen=True, kw_only=True):
    """The event loop, or the whole machine, was blocked: nothing could be read meanwhile.

    A common cause is a handler with a long computation; ``await asyncio.to_thread(...)`` helps.

    Attributes:
        lag: Seconds by which a wait took too long.
    """

    lag: float


class LedgerFailed(Event, frozen=True, kw_only=True):
    """A consumer's ledger did not take a session; the next try follows in ``delay`` seconds.

    Attributes:
        attempt: The try that failed; 1 for the first.
    """

    name: str
    session_id: str | None
    attempt: int
    delay: float
    error: Exception


class HandlersStalled(Event, frozen=True, kw_only=True):
    """A consumer's handler does not end, or the first unsettled session is not settled.

    It is emitted after each minute, whatever the reader does meanwhile.

    Attributes:
        name: The consumer's name.
        seconds: For how long, to within five seconds.
        running: Handlers that are running.
        unsettled: Sessions that were read and not settled.
    """

    name: str
    seconds: float
    running: int
    unsettled: int


class CallOverdue(Event, frozen=True, kw_only=True):
    """Something you have given has not returned for long: a store, a ledger, a callback.

    Attributes:
        what: What is being awaited.
        seconds: For how long.
    """

    what: str
    seconds: float


class CallReturned(Event, frozen=True, kw_only=True):
    """An overdue call has ended, in whatever way.

    Attributes:
        seconds: How long it took.
    """

    what: str
    seconds: float


class HandlersRecovered(Event, frozen=True, kw_only=True):
    """After `HandlersStalled`: no handler runs for as long any more.

    Attributes:
        name: The consumer's name.
        seconds: How long it had taken, to within five seconds.
    """

    name: str
    seconds: float


class LoadFailed(Event, frozen=True, kw_only=True):
    """A store could not load a checkpoint; the next attempt is made after ``delay`` seconds.

    Attributes:
        name: The checkpoint's name.
        attempt: Counted from 1.
    """

    name: str
    attempt: int
    delay: float
    error: Exception


class CheckpointSaved(Event, frozen=True, kw_only=True):
    """A checkpoint was saved.

    Attributes:
        name: The checkpoint's name.
        seconds: How long the save took.
    """

    name: str
    revision: int
    seconds: float


class SaveFailed(Event, frozen=True, kw_only=True):
    """A store failed to save; the next try follows in ``delay`` seconds.

    Attributes:
        name: The checkpoint's name.
        attempt: The try that failed; 1 for the first.
    """

    name: str
    attempt: int
    delay: float
    error: Exception


class HandlerFailed(Event, frozen=True, kw_only=True):
    """A handler raised; the next try follows in ``delay`` seconds. None: it was the last try.

    Attributes:
        name: The consumer's name.
        attempt: The try that failed; 1 for the first.
    """

    name: str
    session_id: str | None
    attempt: int
    delay: float | None
    error: Exception


class SessionGivenUp(Event, frozen=True, kw_only=True):
    """A session was settled although no handler succeeded: it was skipped or parked.

    Attributes:
        name: The consumer's name.
        outcome: ``skipped`` or ``parked``.
    """

    name: str
    session_id: str | None
    outcome: str
    error: Exception


class ReadingPaused(Event, frozen=True, kw_only=True):
    """A consumer stopped reading until its handlers catch up.

    Attributes:
        name: The consumer's name.
        unsettled: Sessions that were read and not settled.
        size: Bytes of the pages that hold them.
    """

    name: str
    unsettled: int
    size: int


class ConsumerStopped(Event, frozen=True, kw_only=True):
    """A consumer has stopped, after its last save.

    Attributes:
        name: The consumer's name.
        given_up: Sessions skipped or parked.
        unsettled: Sessions that were read and not settled; the next run delivers them again.
        error: The failure that stopped it; None if there was none.
    """

    name: str
    handled: int
    given_up: int
    unsettled: int
    error: BaseException | None


class StreamEnded(Event, frozen=True, kw_only=True):
    """A stream ended: it reached its end time, was closed, or failed with ``error``."""

    error: Exception | None = None

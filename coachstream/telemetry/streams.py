"""Events of streams, stores and consumers."""

from datetime import datetime

from ..errors import MalformedSessionError
from ..event import Event


class PageRead(Event, frozen=True, kw_only=True):
    """A page of sessions was read."""

    sessions: int
    """Sessions that are new to this reader, malformed ones included."""
    repeated: int
    """Sessions that were dropped, because this reader had read them before."""
    malformed: int
    """New sessions that can't be decoded."""
    size: int
    """Bytes of the page."""
    has_next_page: bool


class CaughtUp(Event, frozen=True, kw_only=True):
    """There is nothing more to read now; the next request follows in ``delay`` seconds."""

    delay: float


class BackfillProgress(Event, frozen=True, kw_only=True):
    """A backfill has delivered a window of time, and all windows before it."""

    windows: int
    """Windows delivered in this run."""
    sessions: int
    """Sessions delivered in this run."""
    until: datetime
    """Every version with an earlier ``updated_at_time`` has been delivered."""
    share: float
    """The share of the time range that has been delivered, from 0 to 1."""
    seconds_left: float
    """Estimated seconds to the end: by the pages that are left, if they lie as densely as those
    read last, and by how long a page has taken."""
    at_least: bool
    """Whether it may take much longer, because nobody has looked into some of the rest."""


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
    """

    reason: str
    start: datetime
    watermark: datetime | None
    """The ``updated_at_time`` up to which everything had been read; None: nothing had."""


class LoopBlocked(Event, frozen=True, kw_only=True):
    """The event loop, or the whole machine, was blocked: nothing could be read meanwhile.

    A common cause is a handler with a long computation; ``await asyncio.to_thread(...)`` helps.
    """

    lag: float
    """Seconds by which a wait took too long."""


class LedgerFailed(Event, frozen=True, kw_only=True):
    """A consumer's ledger did not take a session; the next try follows in ``delay`` seconds."""

    name: str
    session_id: str | None
    attempt: int
    """The try that failed; 1 for the first."""
    delay: float
    error: Exception


class HandlersStalled(Event, frozen=True, kw_only=True):
    """A consumer's handler does not end, or the first unsettled session is not settled.

    It is emitted after each minute, whatever the reader does meanwhile.
    """

    name: str
    """The consumer's name."""
    seconds: float
    """For how long, to within five seconds."""
    running: int
    """Handlers that are running."""
    unsettled: int
    """Sessions that were read and not settled."""


class CallOverdue(Event, frozen=True, kw_only=True):
    """Something you have given has not returned for long: a store, a ledger, a callback."""

    what: str
    """What is being awaited."""
    seconds: float
    """For how long."""


class CallReturned(Event, frozen=True, kw_only=True):
    """An overdue call has ended, in whatever way."""

    what: str
    seconds: float
    """How long it took."""


class HandlersRecovered(Event, frozen=True, kw_only=True):
    """After `HandlersStalled`: no handler runs for as long any more."""

    name: str
    """The consumer's name."""
    seconds: float
    """How long it had taken, to within five seconds."""


class LoadFailed(Event, frozen=True, kw_only=True):
    """A store could not load a checkpoint; the next attempt is made after ``delay`` seconds."""

    name: str
    """The checkpoint's name."""
    attempt: int
    """Counted from 1."""
    delay: float
    error: Exception


class CheckpointSaved(Event, frozen=True, kw_only=True):
    """A checkpoint was saved."""

    name: str
    """The checkpoint's name."""
    revision: int
    seconds: float
    """How long the save took."""


class SaveFailed(Event, frozen=True, kw_only=True):
    """A store failed to save; the next try follows in ``delay`` seconds."""

    name: str
    """The checkpoint's name."""
    attempt: int
    """The try that failed; 1 for the first."""
    delay: float
    error: Exception


class HandlerFailed(Event, frozen=True, kw_only=True):
    """A handler raised; the next try follows in ``delay`` seconds. None: it was the last try."""

    name: str
    """The consumer's name."""
    session_id: str | None
    attempt: int
    """The try that failed; 1 for the first."""
    delay: float | None
    error: Exception


class SessionGivenUp(Event, frozen=True, kw_only=True):
    """A session was settled although no handler succeeded: it was skipped or parked."""

    name: str
    """The consumer's name."""
    session_id: str | None
    outcome: str
    """``skipped`` or ``parked``."""
    error: Exception


class ReadingPaused(Event, frozen=True, kw_only=True):
    """A consumer stopped reading until its handlers catch up."""

    name: str
    """The consumer's name."""
    unsettled: int
    """Sessions that were read and not settled."""
    size: int
    """Bytes of the pages that hold them."""


class ConsumerStopped(Event, frozen=True, kw_only=True):
    """A consumer has stopped, after its last save."""

    name: str
    """The consumer's name."""
    handled: int
    given_up: int
    """Sessions skipped or parked."""
    unsettled: int
    """Sessions that were read and not settled; the next run delivers them again."""
    error: BaseException | None
    """The failure that stopped it; None if there was none."""


class StreamEnded(Event, frozen=True, kw_only=True):
    """A stream ended: it reached its end time, was closed, or failed with ``error``."""

    error: Exception | None = None

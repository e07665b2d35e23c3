"""What happens to a session whose handler fails: another attempt, the ledger, or a stop."""

import json
from collections import deque
from datetime import timedelta
from enum import StrEnum
from functools import partial

import msgspec

from ..arguments import instance_with, zero_or_seconds
from ..errors import InvalidArgumentError, MalformedSessionError, TooManyFailuresError
from ..models import CoachingSession
from ..progress.patience import Asking
from ..retry import RetryPolicy
from ..tasks import Runtime, supervised
from ..telemetry import HandlerFailed, LedgerFailed, SessionGivenUp
from ..wire.pages import Entry
from .ledger import FailedSession, Ledger, Outcome, describe

JUDGED = 50
"""How many of the last sessions the share of failures is computed over."""
HANDFUL = 5
"""Failures that are allowed at the beginning in any case, before so many sessions are judged.

It is small, because a consumer that always fails may be started again and again.
"""


class Retry(Exception):  # noqa: N818  # a request, not an error
    """Raised by a handler that wants the session again, ``after`` a time if that is given.

    It counts as an attempt, like any failure. ``after`` is in seconds, or a ``timedelta``; 0 leaves
    the time to the retry policy.
    """

    def __init__(self, after: float | timedelta | None = None) -> None:
        super().__init__("again" if after is None else f"again after {after}")
        self.after = None if after is None else zero_or_seconds("after", after)


class OnFailure(StrEnum):
    """What to do with a session whose handler has failed for good.

    Attributes:
        STOP: Stop the consumer with the handler's own exception; the session is delivered again.
        SKIP: Settle it unhandled, after adding it to the ledger, if there is one.
        PARK: Settle it unhandled, after adding it to the ledger. One that fails is asked again, as
            the store is.
    """

    STOP = "stop"
    SKIP = "skip"
    PARK = "park"


class Failures:
    """Decides what happens on failures, and adds what is given up to the ledger.

    Raises:
        InvalidArgumentError: the ledger is missing, or is none.
    """

    def __init__(
        self,
        *,
        name: str,
        on_failure: OnFailure,
        retry: RetryPolicy,
        ledger: Ledger | None,
        ratio: float,
        asking: Asking,
        runtime: Runtime,
    ) -> None:
        if on_failure is OnFailure.PARK and ledger is None:
            raise InvalidArgumentError(
                "ledger", 'on_failure="park" needs one, such as FileLedger(path)'
            )
        if ledger is not None:
            instance_with("ledger", ledger, "add", "remove", "list")
        self._name = name
        self._on_failure = on_failure
        self._retry = retry
        self._ledger = ledger
        self._ratio = ratio
        self._asking = asking
        self._runtime = runtime
        self._judged: deque[bool] = deque(maxlen=JUDGED)  # whether each of the last ones failed
        self.given_up = 0
        """Sessions skipped or parked so far."""

    def handled(self) -> None:
        """Note a session that was handled."""
        self._judged.append(False)

    def delay(self, session: CoachingSession, error: Exception, attempt: int) -> float | None:
        """Return the seconds until the next attempt; None: there is none."""
        delay = None
        if attempt < self._retry.attempts:
            after = error.after if isinstance(error, Retry) else None
            delay = self._retry.delay(attempt, self._runtime.random, at_least=after)
        self._runtime.observe(
            HandlerFailed(
                name=self._name, session_id=session.id, attempt=attempt, delay=delay, error=error
            )
        )
        return delay

    async def give_up(self, entry: Entry, error: Exception, attempts: int) -> None:
        """Add the session to the ledger, so that it may be settled unhandled.

        Raises:
            Exception: it may not be settled, and the consumer has to stop with this: the error
                itself, or the ledger's, if that can't mend or patience is over.
            TooManyFailuresError: too many of the last sessions failed.
        """
        if self._on_failure is OnFailure.STOP:
            raise error
        self._judge(error)
        outcome: Outcome = "parked" if self._on_failure is OnFailure.PARK else "skipped"
        if self._ledger is not None:
            await self._add(self._ledger, self._failed_session(entry, error, outcome, attempts))
        self.given_up += 1
        self._runtime.observe(
            SessionGivenUp(name=self._name, session_id=_id(entry), outcome=outcome, error=error)
        )

    async def _add(self, ledger: Ledger, failed: FailedSession) -> None:
        """Add to the ledger; while it fails, wait and try again."""
        what = f"adding to the ledger of {self._name!r}"

        def report(attempt: int, delay: float, error: Exception) -> None:
            self._runtime.observe(
                LedgerFailed(
                    name=self._name,
                    session_id=failed.session_id,
                    attempt=attempt,
                    delay=delay,
                    error=error,
                )
            )

        add = partial(supervised, partial(ledger.add, failed), what, self._runtime)
        await self._asking.ask(add, report)

    def _judge(self, error: Exception) -> None:
        """Note a session that has failed, and raise if too many have."""
        self._judged.append(True)
        failures, judged = sum(self._judged), len(self._judged)
        least = HANDFUL if judged < JUDGED else 0
        if failures > max(least, self._ratio * judged):
            raise TooManyFailuresError(
                f"{failures} of the last {judged} sessions failed, more than failure_ratio="
                f"{self._ratio} allows"
            ) from error

    def _failed_session(
        self, entry: Entry, error: Exception, outcome: Outcome, attempts: int
    ) -> FailedSession:
        return FailedSession(
            consumer=self._name,
            outcome=outcome,
            session_id=_id(entry),
            updated_at_time=entry.updated_at_time,
            error=describe(error),
            attempts=attempts,
            failed_at=self._runtime.clock.now(),
            raw=_json(entry),
            has_own_json=entry.raw is not None,
        )


def _json(entry: Entry) -> str:
    if entry.raw is not None:
        return entry.raw.decode(errors="replace")
    try:
        return msgspec.json.encode(entry).decode()
    except UnicodeError:  # half a surrogate pair, from pages of the caller's own
        text = json.dumps(msgspec.to_builtins(entry), ensure_ascii=False)
        return text.encode(errors="replace").decode()


def _id(entry: Entry) -> str | None:
    return entry.session_id if isinstance(entry, MalformedSessionError) else entry.id

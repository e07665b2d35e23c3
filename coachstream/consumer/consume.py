"""Callbacks for sessions: many at once, a driver's in order, and nothing lost."""

from collections.abc import AsyncIterable, Callable, Hashable
from datetime import timedelta
from random import Random
from typing import Literal

from ..arguments import (
    async_function,
    at_least_one,
    instance_of,
    one_of,
    plain_function,
    seconds,
    share,
)
from ..checkpoints import StoreLike
from ..clock import Clock, SystemClock
from ..errors import InvalidArgumentError
from ..models import CoachingSession
from ..observers.logging import log_event
from ..progress.checkpointer import Checkpointer
from ..retry import RetryPolicy
from ..sessions.stream import PageStream, SessionStream
from ..telemetry import Observer, guarded
from ..wire.pages import Page
from .failures import Failures, OnFailure
from .ledger import Handler, Ledger
from .run import Consumer, Report
from .source import PagesSource, Source


def driver_of(session: CoachingSession) -> Hashable:
    """Return the driver's id: the key by which sessions keep their order, if no other is given."""
    return session.driver.driver_id


async def consume(
    stream: SessionStream | AsyncIterable[Page],
    handler: Handler,
    *,
    name: str,
    store: StoreLike,
    concurrency: int = 16,
    key: Callable[[CoachingSession], Hashable] = driver_of,
    on_failure: OnFailure | Literal["stop", "skip", "park"] = OnFailure.STOP,
    retry: RetryPolicy | None = None,
    ledger: Ledger | None = None,
    failure_ratio: float = 0.5,
    max_unsettled: int = 1000,
    max_unsettled_bytes: int = 64 * 1024 * 1024,
    drain_timeout: float | timedelta = 30.0,
    observer: Observer | None = None,
    clock: Clock | None = None,
    random: Random | None = None,
) -> Report:
    """Give each session to ``handler``, and keep in ``store`` how far that has come.

    Every version the stream serves is handled at least once, whatever crashes and whenever; the
    sessions of one ``key`` (by default the driver) one at a time and in order. It returns when the
    stream ends, or has been closed with ``stream.aclose()``: then running handlers have
    ``drain_timeout`` to finish. Cancelled, it cancels them at once. In each case what is settled
    is saved, and what is not comes again.

    Args:
        stream: A stream that is not begun, or any async iterable of pages.
        handler: An async function of a session. It sees the context variables of this call; what
            it sets there itself, a later one may see.
        name: What the place in the store is called; a second consumer with it stops.
        store: A URL (``"sqlite:state.db"``), a store of `coachstream.checkpoints`, or a mapping.
        concurrency: How many handlers may run at once.
        key: What tells which sessions must keep their order.
        on_failure: What to do when ``retry`` has no more tries; see `OnFailure`.
        retry: Tries of a handler (by default 5, beginning a second apart) before that.
        ledger: Where skipped and parked sessions are kept; needed to park.
        failure_ratio: The share of the last 50 sessions that may be skipped or parked; beyond it
            the consumer stops, because more than these sessions must be wrong.
        max_unsettled: Sessions read and not passed by the frontier, at which reading pauses.
        max_unsettled_bytes: The same in bytes of their pages.
        drain_timeout: How long running handlers may take when the consumer is to stop.
        observer: Called with every event; None logs them.
        clock: Where time comes from; for tests.
        random: Where jitter comes from; for tests.

    Raises:
        InvalidArgumentError: at once, naming the argument that can't be used.
        QueryMismatchError: the name belongs to another query.
        StaleCheckpointError: another consumer has this name.
        TooManyFailuresError: more failed than ``failure_ratio`` allows.
        Exception: what a handler raised, under ``STOP``; what the store, the ledger or the stream
            raised.
    """
    async_function("handler", handler)
    plain_function("key", key)
    if observer is not None:
        plain_function("observer", observer)
    if retry is not None:
        instance_of("retry", retry, RetryPolicy)
    if isinstance(stream, PageStream):
        raise InvalidArgumentError("stream", "give the stream itself, not its pages")
    if not isinstance(stream, AsyncIterable):
        raise InvalidArgumentError("stream", "needs a stream, or an async iterable of pages")
    on_failure = OnFailure(one_of("on_failure", on_failure, list(OnFailure)))
    if on_failure is OnFailure.PARK and ledger is None:
        raise InvalidArgumentError("ledger", "is needed to park in, such as FileLedger(path)")
    if ledger is not None and not hasattr(ledger, "add"):
        raise InvalidArgumentError("ledger", f"needs a ledger, such as FileLedger, not {ledger!r}")
    clock = clock or SystemClock()
    observer = guarded(observer or log_event)
    random = random or Random()
    checkpointer = Checkpointer(store, name=name, clock=clock, observer=observer, random=random)
    failures = Failures(
        name=name,
        on_failure=on_failure,
        retry=retry or RetryPolicy(attempts=5, first_delay=1.0),
        ledger=ledger,
        ratio=share("failure_ratio", failure_ratio),
        observer=observer,
        clock=clock,
        random=random,
    )
    source: Source = stream if isinstance(stream, SessionStream) else PagesSource(stream)
    consumer = Consumer(
        name=name,
        source=source,
        handler=handler,
        key=key,
        failures=failures,
        checkpointer=checkpointer,
        concurrency=at_least_one("concurrency", concurrency),
        max_open=at_least_one("max_unsettled", max_unsettled),
        max_open_bytes=at_least_one("max_unsettled_bytes", max_unsettled_bytes),
        drain_timeout=seconds("drain_timeout", drain_timeout),
        observer=observer,
        clock=clock,
    )
    return await consumer.run()

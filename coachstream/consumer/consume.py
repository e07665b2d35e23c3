"""Callbacks for sessions: many at once, a driver's in order, and nothing lost."""

from collections.abc import Callable, Hashable
from datetime import timedelta
from random import Random
from typing import Literal

from ..arguments import (
    async_function,
    at_least_one,
    fraction,
    instance_of,
    instance_or_new,
    one_of,
    seconds,
    sync_function,
)
from ..checkpoints import StoreLike
from ..clock import Clock, checked_clock
from ..errors import InvalidArgumentError
from ..models import CoachingSession
from ..observers.logging import checked_observer
from ..progress.checkpointer import Checkpointer
from ..progress.patience import Asking
from ..retry import RetryPolicy
from ..sessions.stream import PageStream, SessionStream
from ..tasks import BackgroundTasks, Runtime
from ..telemetry import Observer
from .bounds import Bounds
from .failures import Failures, OnFailure
from .lanes import driver_of
from .ledger import Handler, Ledger
from .report import Report
from .run import Consumer
from .source import PagesAfter, PagesSource, Source


async def consume(
    stream: SessionStream | PagesAfter,
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
    """Pass each session to ``handler``, and save in ``store`` how far that has come.

    Every version that the stream serves is handled at least once, even if the process crashes.
    The sessions of one ``key`` (by default the driver) are handled one at a time and in order.

    ``consume`` returns when the stream ends, or when you close it with ``stream.aclose()``; running
    handlers then have ``drain_timeout`` to finish. If ``consume`` is cancelled, no more handlers
    start, and running handlers are cancelled; one that has not ended after five seconds is
    cancelled a second time. Progress is saved in each case, and the next run delivers unsettled
    sessions again.

    Even between handlers that never wait, the event loop does other work every few milliseconds.

    Args:
        stream: A stream from which nothing has been read; or, for pages of any other origin, a
            function that is given the saved `Position` and returns an async iterable of the pages
            after its ``cursor``, or of all of them if that is None.
        handler: An async function of a session, or any function that returns an awaitable. Each
            handler call has its own copy of the context variables of the ``consume`` call.
        name: The name of the saved position. A second consumer with this name is stopped.
        store: A URL (``"sqlite:state.db"``), a store of `coachstream.checkpoints`, or a mapping.
        concurrency: How many handlers may run at once.
        key: A function of a session. Sessions with the same key keep their order. If it raises, the
            session has failed, and ``on_failure`` decides.
        on_failure: What to do when ``retry`` allows no more attempts: ``"stop"`` with the
            handler's exception, ``"skip"`` the session, or ``"park"`` it in the ledger.
        retry: How often a handler is tried: by default five times, with growing waits that begin
            at one second.
        ledger: Where skipped and parked sessions are kept; needed to park. While it fails, it is
            asked again, as the store is; that session stays unsettled meanwhile.
        failure_ratio: The share of the last 50 sessions (at the start: of all so far) that may be
            skipped or parked; the first five always may. If more fail, the consumer stops, because
            the cause is probably not the sessions.
        max_unsettled: Reading pauses when so many sessions wait to be settled.
        max_unsettled_bytes: Reading pauses when their pages have so many bytes.
        drain_timeout: How long running handlers may take when the consumer stops, in seconds or as
            a ``timedelta``.
        observer: Called with every event; None logs them.
        clock: Where time comes from; for tests.
        random: Where jitter comes from; for tests.

    Raises:
        InvalidArgumentError: at once, naming the argument that can't be used; at the first session,
            if the handler proves to be no async function.
        QueryMismatchError: the saved position belongs to another query.
        StaleCheckpointError: another consumer has moved the checkpoint of this name.
        TooManyFailuresError: more sessions failed than ``failure_ratio`` allows.
        Exception: what a handler raised, under ``STOP``; what the store, the ledger or the stream
            raised.
    """
    handler = async_function("handler", handler)
    sync_function("key", key)
    observe = checked_observer(observer)
    if retry is not None:
        instance_of("retry", retry, RetryPolicy)
    source = _source(stream)
    runtime = Runtime(
        clock=checked_clock(clock),
        random=instance_or_new("random", random, Random),
        observe=source.observing(observe),
        tasks=BackgroundTasks(),
    )
    # The store and the ledger are asked for as long as the client asks the server.
    patience = source.retry or retry or RetryPolicy()
    consumer = Consumer(
        name=name,
        source=source,
        handler=handler,
        key=key,
        failures=Failures(
            name=name,
            on_failure=OnFailure(one_of("on_failure", on_failure, list(OnFailure))),
            retry=RetryPolicy(attempts=5, first_delay=1.0) if retry is None else retry,
            ledger=ledger,
            ratio=fraction("failure_ratio", failure_ratio),
            asking=Asking(patience, runtime),
            runtime=runtime,
        ),
        checkpointer=Checkpointer(store, name=name, runtime=runtime, retry=patience),
        bounds=Bounds(
            concurrency=at_least_one("concurrency", concurrency),
            sessions=at_least_one("max_unsettled", max_unsettled),
            bytes=at_least_one("max_unsettled_bytes", max_unsettled_bytes),
            drain_timeout=seconds("drain_timeout", drain_timeout),
        ),
        runtime=runtime,
    )
    return await consumer.run()


def _source(stream: SessionStream | PagesAfter) -> Source:
    if isinstance(stream, SessionStream):
        return stream._for_consumer()  # noqa: SLF001  # not for users
    if isinstance(stream, PageStream):
        raise InvalidArgumentError("stream", "give the stream itself, not its pages")
    if hasattr(stream, "__aiter__") or not callable(stream):
        raise InvalidArgumentError(
            "stream", "needs a stream, or a function of a Position that returns the pages after it"
        )
    return PagesSource(stream)

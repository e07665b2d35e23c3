"""Builds a stream from its parts."""

from collections.abc import Awaitable, Callable
from functools import partial
from weakref import WeakSet

from ..checkpoints import StoreLike
from ..feed.backfill import BackfillReader
from ..feed.fetcher import Fetcher
from ..feed.health import HealthMonitor
from ..feed.reader import OnExpired, PageReader
from ..http.rate_limit import Limiter
from ..http.transport import Transport
from ..models import Position
from ..progress.checkpointer import Checkpointer
from ..retry import RetryPolicy
from ..tasks import Runtime
from ..wire.query import Query
from .malformed import OnMalformed
from .source import StreamSource
from .stream import SessionStream


class StreamOpener:
    """Opens the streams of one client, and knows which are open."""

    def __init__(
        self, *, transport: Transport, limiter: Limiter, retry: RetryPolicy, runtime: Runtime
    ) -> None:
        self._transport = transport
        self._limiter = limiter
        self._retry = retry
        self._runtime = runtime
        self._sources: WeakSet[StreamSource] = WeakSet()
        self._open_sources: set[StreamSource] = set()  # of streams that have loaded and will save

    @property
    def closers(self) -> list[Callable[[], Awaitable[None]]]:
        """What closes the streams, and saves the positions of those that have a store."""
        unclosed = (source for source in self._sources if not source.closed)
        return [source.close_with_client for source in {*self._open_sources, *unclosed}]

    def open(
        self,
        query: Query,
        *,
        cursor: str | None,
        poll_interval: float,
        readers: int,
        keep_raw: bool,
        on_malformed: OnMalformed | None,
        on_expired: OnExpired,
        by_ack: bool,
        saved_in: tuple[str, StoreLike] | None,
    ) -> SessionStream:
        """Open a stream; ``saved_in`` is the name and the store of its position, if it has one."""
        start = Position(query=query.wire, origin=query.wire, cursor=cursor)
        clock = self._runtime.clock
        monitor = HealthMonitor(timeout=self._transport.timeout, now=clock.monotonic())
        runtime = self._runtime.observed_by(monitor.observing(self._runtime.observe, clock))

        open_reader = partial(
            self._open_reader,
            monitor=monitor,
            runtime=runtime,
            keep_raw=keep_raw,
            poll_interval=poll_interval,
            on_expired=on_expired,
        )
        source = StreamSource(
            query=query,
            start=start,
            reader=BackfillReader(
                start=start,
                readers=readers,
                open_reader=open_reader,
                server_now=lambda: self._transport.server_now,
                runtime=runtime,
            ),
            monitor=monitor,
            runtime=runtime,
            retry=self._retry,
            on_malformed=on_malformed,
            by_ack=by_ack,
            checkpointer=saved_in and self._checkpointer(*saved_in, runtime),
            siblings=self._open_sources,
        )
        self._sources.add(source)
        return SessionStream(source=source, runtime=runtime)

    def _open_reader(
        self,
        start: Position,
        *,
        monitor: HealthMonitor,
        runtime: Runtime,
        keep_raw: bool,
        poll_interval: float,
        on_expired: OnExpired,
    ) -> PageReader:
        fetcher = Fetcher(
            transport=self._transport,
            limiter=self._limiter,
            patience=self._retry.for_a_stream(),
            monitor=monitor,
            runtime=runtime,
            keep_raw=keep_raw,
        )
        return PageReader(
            start=start,
            fetcher=fetcher,
            runtime=runtime,
            poll_interval=poll_interval,
            on_expired=on_expired,
        )

    def _checkpointer(self, name: str, store: StoreLike, runtime: Runtime) -> Checkpointer:
        return Checkpointer(store, name=name, runtime=runtime, retry=self._retry)

"""The stream: sessions to loop over, and the position reached."""

from types import TracebackType
from typing import Self

from ..errors import InvalidArgumentError
from ..feed.health import Health
from ..models import CoachingSession, Position
from ..tasks import Runtime, cancellation_first, close_after
from .loop import PageStream, SessionLoop
from .source import StreamSource

__all__ = ["PageStream", "SessionStream"]


class SessionStream:
    """Coaching sessions, one version after another, in the server's order.

    Loop over it: ``async for session in stream``. A session counts as settled when the loop asks
    for the next one, or when `ack` returns; with ``settle="ack"`` only when `ack` returns. If you
    leave the loop early, by ``break`` or by an exception, the current session is not settled. If
    you put a time-out around ``anext``, the page is still fetched, and the next ``anext`` uses it:
    nothing is lost or repeated.

    One loop at a time may read a stream. When a newer loop begins, the next step of the older one
    raises `StreamInUseError`, and the newer loop gets the older one's current session again. To
    handle many sessions at once, use `consume`.

    With a ``name`` and a ``store``, the stream resumes from the saved position. It saves its
    position once a second, when it has caught up, when the stream or the client is closed, and when
    the stream is garbage-collected. While the store fails, the stream retries it as it retries the
    server, and reads no more pages.

    The stream ends at its ``end_time``, by `aclose`, or with an exception. After an exception, the
    next step tries again.
    """

    def __init__(self, *, source: StreamSource, runtime: Runtime) -> None:
        self._source = source
        self._runtime = runtime
        self._steps = SessionLoop(source, None)  # those that are taken without a loop
        self._steps.begun = self._steps.current = True

    def __aiter__(self) -> SessionLoop:
        return SessionLoop(self._source, self)

    async def __anext__(self) -> CoachingSession:
        self._source.hand.check_no_loop()
        return await anext(self._steps)

    def pages(self) -> PageStream:
        """Loop over whole pages instead, empty ones included.

        A page counts as settled when the loop asks for the next one, unless ``settle="ack"``. If
        you began with sessions, the unread rest of their page is delivered first, as one page.
        """
        return PageStream(self._source, self)

    async def ack(self, *, on: object | None = None) -> None:
        """Settle all sessions delivered so far. If there is a store, that is saved within a second.

        With ``settle="ack"`` and a `PostgresStore`, ``on`` may be your own connection with an open
        transaction. Then the position is saved at once, as part of that transaction: your own
        writes and the position are committed together, or neither::

            async for session in stream:
                async with connection.transaction():
                    await connection.execute(...)
                    await stream.ack(on=connection)

        It is a connection of asyncpg, an ``AsyncConnection`` of psycopg 3, or one of SQLAlchemy
        over either. What its driver raises is raised as it is.

        If the transaction is rolled back, do the same work in another one and call this again. If
        you go on without that, the next call raises `SaveRolledBackError`.

        Raises:
            StaleCheckpointError: another consumer has moved the checkpoint.
            SaveRolledBackError: a transaction with a save was rolled back, and not repeated.
            StreamInUseError: two loops read the stream, so what is finished can't be told.
            StoreError: an earlier save failed for good.
            InvalidArgumentError: the stream or its store can't save on a connection, or not on this
                one, or no transaction is open on it. Nothing was settled.
        """
        await self._source.ack(on)

    @property
    def position(self) -> Position:
        """The position up to which sessions are settled (not: fetched)."""
        return self._source.position

    @property
    def health(self) -> Health:
        """What the stream is doing right now."""
        source, clock = self._source, self._runtime.clock
        source.hand.settle(source.frontier)
        return source.monitor.health(
            now=clock.monotonic(),
            today=clock.now(),
            cursor_time=source.frontier.cursor_time,
            watermark=source.frontier.watermark,
        )

    @property
    def closed(self) -> bool:
        """Whether it has ended or was closed."""
        return self._source.closed

    async def aclose(self) -> None:
        """End the stream, from any task, and save; twice is harmless. The client stays open.

        The current session stays unsettled. A task that waits for the next session leaves its loop.
        Closing takes at most ten seconds, even if something hangs. If the task that closes the
        stream is cancelled meanwhile, the cancellation is raised afterwards.

        Raises:
            StaleCheckpointError: another consumer has moved the checkpoint.
            Exception: what kept the last save from ending in time.
        """
        async with cancellation_first():
            await self._source.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await close_after(error, self.aclose, "the stream")

    def __repr__(self) -> str:
        return f"<SessionStream {self._source.query.wire!r} {self.health.state}>"

    def __del__(self) -> None:
        # Nobody can read the page any more, so its retries need not go on.
        self._source.abandon()

    def _for_consumer(self) -> StreamSource:
        """Return what `consume` reads from; it settles by itself.

        Raises:
            InvalidArgumentError: the stream has an ``on_malformed`` or a ``settle`` of its own.
        """
        if self._source.on_malformed is not None:
            raise InvalidArgumentError(
                "stream", "consume() uses on_failure instead of on_malformed"
            )
        if self._source.hand.by_ack:
            raise InvalidArgumentError("stream", 'consume() settles by itself; omit settle="ack"')
        return self._source

"""The stream: sessions to loop over, and the position reached."""

from collections.abc import Awaitable, Callable
from copy import copy
from functools import partial
from types import TracebackType
from typing import Self

from ..checkpoints.postgres import Connection
from ..errors import InvalidArgumentError, MalformedSessionError
from ..feed.health import Health
from ..models import CoachingSession, Position
from ..progress.frontier import OpenPage
from ..tasks import Runtime, supervised
from ..telemetry import SessionMalformed
from ..wire.pages import Entry, Page
from .source import StreamSource

OnMalformed = Callable[[MalformedSessionError], Awaitable[None]]
"""Settles a session that can't be read: when it returns, that session is not delivered again."""


class SessionStream:
    """Coaching sessions, one version after another, in the server's order.

    Loop over it: ``async for session in stream``. A session counts as settled when the loop asks
    for the next one, or when `ack` returns. If you leave the loop early, by ``break`` or by an
    exception, the current session is not settled, and `position` says so. A time-out around a step
    loses nothing and repeats nothing: the page is still fetched, and the next step finds it. Only
    one task at a time may read a stream.

    With a ``name`` and a ``store`` it resumes from the saved position. It saves at most once a
    second, when it has caught up, and when it or the client is closed.

    It ends at its ``end_time`` or by `aclose`; otherwise only with an exception. After an exception
    the next step tries again.
    """

    def __init__(
        self, *, source: StreamSource, runtime: Runtime, on_malformed: OnMalformed | None
    ) -> None:
        self._source = source
        self._runtime = runtime
        self._on_malformed = on_malformed
        # The page in hand: entries before `_next` have been handed out, the last `_held` of those
        # are still with the user.
        self._page: OpenPage | None = None
        self._entries: tuple[Entry, ...] = ()
        self._next = 0
        self._held = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CoachingSession:
        while not self._source.closed:
            index = self._next
            if index == len(self._entries):
                self._held = 0
                await self._turn_page()
                continue
            entry = self._entries[index]
            if isinstance(entry, CoachingSession):
                self._next, self._held = index + 1, 1
                return entry
            self._held = 0
            await self._settle_malformed(entry)
            self._next += 1
        raise StopAsyncIteration

    def pages(self) -> "PageStream":
        """Loop over whole pages instead, empty ones included.

        A page counts as settled when the loop asks for the next one. What a loop over sessions has
        left of its page comes as a page of its own.
        """
        return PageStream(self)

    async def _next_page(self) -> Page:
        if self._source.closed:
            raise StopAsyncIteration
        self._held = 0
        if self._next == len(self._entries):
            await self._turn_page()
        assert self._page is not None
        rest = self._entries[self._next :]
        for entry in rest:
            if isinstance(entry, MalformedSessionError):
                await self._settle_malformed(entry)
        self._next = len(self._entries)
        self._held = len(rest)
        reading = self._page.reading
        return Page(
            entries=rest,
            end_cursor=reading.cursor or "",
            has_next_page=reading.has_next_page,
            size=reading.size,
        )

    async def ack(self, *, on: Connection | None = None) -> None:
        """Settle what is in hand, and save if there is a store; when this returns, it is done.

        With a `PostgresStore`, ``on`` may be your own connection with an open transaction. Then
        what you wrote in it and the position are committed together, or neither. After a rollback,
        begin a new stream::

            async for session in stream:
                async with connection.transaction():
                    await connection.execute(...)
                    await stream.ack(on=connection)

        Raises:
            StaleCheckpointError: another consumer has moved the checkpoint.
            InvalidArgumentError: the store can't save on a connection.
        """
        self._held = 0
        checkpointer = self._source.checkpointer
        if checkpointer is not None:
            await checkpointer.save(self.position, on=on)
        elif on is not None:
            raise InvalidArgumentError("on", "the stream has no store to save in")

    @property
    def position(self) -> Position:
        """How far you have come: what is settled, not what was fetched."""
        self._settle_handed_out()
        return self._source.frontier.position

    @property
    def health(self) -> Health:
        """What the stream is doing right now."""
        self._settle_handed_out()
        source, clock = self._source, self._runtime.clock
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

        The session in hand stays unsettled. A task that waits for the next session leaves its loop.

        Raises:
            StaleCheckpointError: another consumer has moved the checkpoint.
        """
        self._settle_handed_out()
        await self._source.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<SessionStream {self._source.query.wire!r} {self.health.state}>"

    def __del__(self) -> None:
        # Nobody can read the page any more, so its retries need not go on.
        self._source.abandon()

    async def _turn_page(self) -> None:
        """Settle the page in hand and take the next."""
        self._settle_handed_out()
        self._page, self._entries, self._next = None, (), 0
        reading = await self._source.next()
        self._page = self._source.frontier.open(reading)
        self._entries = reading.entries

    def _settle_handed_out(self) -> None:
        """Settle what the user has finished of the page in hand."""
        if self._page is not None:
            self._source.frontier.settle_first(self._page, self._next - self._held)

    async def _settle_malformed(self, error: MalformedSessionError) -> None:
        """Let ``on_malformed`` settle it, or else raise it, each time it is met."""
        self._runtime.observe(SessionMalformed(error=error))
        if self._on_malformed is None:
            # A loop that catches it and goes on must not keep the event loop from other work.
            await self._runtime.clock.sleep(0)
            raise copy(error)
        with self._source.exclusive():
            await supervised(partial(self._on_malformed, error), "on_malformed", self._runtime)

    def for_consumer(self) -> StreamSource:
        """Return what a consumer reads from; it settles by itself.

        Raises:
            InvalidArgumentError: the stream has an ``on_malformed`` of its own.
        """
        if self._on_malformed is not None:
            raise InvalidArgumentError("stream", "consume() has on_failure, and not on_malformed")
        return self._source


class PageStream:
    """The pages of a stream; see `SessionStream.pages`."""

    def __init__(self, stream: SessionStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page:
        return await self._stream._next_page()  # noqa: SLF001  # the other half of one thing

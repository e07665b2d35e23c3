"""The stream: sessions to loop over, and how far you have come."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from functools import partial
from types import TracebackType
from typing import Self

import anyio

from ..checkpoints.postgres import Connection
from ..clock import Clock
from ..errors import (
    ClosedError,
    InvalidArgumentError,
    MalformedSessionError,
    SaveUndoneError,
    StreamInUseError,
)
from ..feed.health import Health, HealthMonitor
from ..feed.reader import Reader
from ..feed.reading import Reading
from ..models import CoachingSession, Position
from ..progress.checkpointer import LAST_SAVE, Checkpointer
from ..progress.frontier import Frontier, OpenPage
from ..tasks import Background, Ongoing
from ..telemetry import Observer, SessionMalformed, StreamEnded
from ..wire.pages import Entry, Page
from ..wire.query import Query

OnMalformed = Callable[[MalformedSessionError], Awaitable[None]]
"""Settles a session that can't be read; returning means it need not come again."""


class SessionStream:
    """Coaching sessions, one version after another, in the server's order.

    Loop over it: ``async for session in stream``. A session is settled when you ask for the next
    one, or say `ack`; if you leave the loop before, by ``break`` or by an exception, the last one
    is not, and `position` says so. A time-out around a step loses nothing and repeats nothing: the
    page goes on being fetched, and the next step finds it. One task at a time may read a stream.

    With a ``name`` and a ``store`` it begins where the last run with that name was saved, and is
    saved at most every second, when it has caught up, and when it or the client is closed.

    It ends when its ``end_time`` is reached, or by `aclose`; otherwise only with an exception,
    after which asking again tries again.
    """

    def __init__(
        self,
        *,
        query: Query,
        reader: Reader,
        background: Background,
        monitor: HealthMonitor,
        observer: Observer,
        clock: Clock,
        start: Position,
        checkpointer: Checkpointer | None,
        on_malformed: OnMalformed | None,
    ) -> None:
        self._query = query
        self._reader = reader
        self._monitor = monitor
        self._observer = observer
        self._clock = clock
        self._checkpointer = checkpointer
        self._on_malformed = on_malformed
        self._frontier = Frontier(start)
        self._begun = checkpointer is None
        self._keeping: Ongoing[None] = Ongoing(background)
        self._busy = False
        self._used = False
        self._closed = False
        self._on_close: Callable[[], None] | None = None
        # The page in hand: entries before `_next` have been handed out, the last `_held` of those
        # are still with the user.
        self._page: OpenPage | None = None
        self._entries: tuple[Entry, ...] = ()
        self._next = 0
        self._held = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CoachingSession:
        while not self._closed:
            place = self._next
            if place == len(self._entries):
                self._held = 0
                await self._turn_page()
                continue
            entry = self._entries[place]
            if isinstance(entry, CoachingSession):
                self._next, self._held = place + 1, 1
                return entry
            self._held = 0
            await self._settle_malformed(entry)
            self._next += 1
        raise StopAsyncIteration

    def pages(self) -> "PageStream":
        """Loop over whole pages instead, the empty ones among them.

        A page is settled when you ask for the next one. What a loop over sessions has left of its
        page comes as a page of its own.
        """
        return PageStream(self)

    async def _next_page(self) -> Page:
        if self._closed:
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
        """Settle what is in hand now, and save, if there is a store: when this returns, it is done.

        With a `PostgresStore`, ``on`` may be a connection of yours with an open transaction: then
        what you wrote in it and the place in the stream are committed together, or neither. After a
        transaction that was taken back, begin a new stream::

            async for session in stream:
                async with connection.transaction():
                    await connection.execute(...)
                    await stream.ack(on=connection)

        Raises:
            StaleCheckpointError: someone else has moved the checkpoint.
            InvalidArgumentError: the store can't save on a connection.
        """
        self._held = 0
        if self._checkpointer is not None:
            await self._checkpointer.save(self.position, on=on)
        elif on is not None:
            raise InvalidArgumentError("on", "the stream has no store to save in")

    @property
    def position(self) -> Position:
        """How far you have come: what is settled, not what was fetched."""
        self._settle_handed_out()
        return self._frontier.position

    @property
    def health(self) -> Health:
        """What the stream is doing right now."""
        self._settle_handed_out()
        return self._monitor.health(
            now=self._clock.monotonic(),
            today=self._clock.now(),
            cursor_time=self._frontier.cursor_time,
            watermark=self._frontier.watermark,
        )

    async def aclose(self) -> None:
        """End the stream, from any task, and save; twice is harmless. The client stays open.

        The session in hand stays unsettled; a task that waits for the next one sees the loop end.

        Raises:
            StaleCheckpointError: someone else has moved the checkpoint.
        """
        if self._on_close is not None:
            self._on_close()
        await self._close()

    async def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with anyio.move_on_after(LAST_SAVE, shield=True):
            await self._keeping.cancel()
            await self._reader.aclose()
        self._observer(StreamEnded())
        if self._checkpointer is not None:
            with suppress(SaveUndoneError):  # then what is kept is right, and stays
                await self._checkpointer.finish(self.position if self._begun else None)

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
        return f"<SessionStream {self._query.wire!r} {self.health.state}>"

    def __del__(self) -> None:
        # Nobody can ask for the page any more, so its retries need not go on.
        self._keeping.abandon()
        self._reader.abandon()

    async def _turn_page(self) -> None:
        """Settle the page in hand and take up the next."""
        self._settle_handed_out()
        self._page, self._entries, self._next = None, (), 0
        reading = await self._next_reading()
        self._page = self._frontier.open(reading)
        self._entries = reading.entries

    def _settle_handed_out(self) -> None:
        """Tell the frontier what has been settled of the page in hand."""
        if self._page is not None:
            self._frontier.settle_first(self._page, self._next - self._held)

    async def _next_reading(self) -> Reading:
        """Return what is read next; raise StopAsyncIteration when there is no more."""
        self._used = True
        if self._reader.ended:
            await self._close()
        if self._closed:
            raise StopAsyncIteration
        self._monitor.go_on()
        try:
            with self._alone():
                if self._checkpointer is not None:
                    await self._load_or_save(self._checkpointer)
                reading = await self._reader.read()
        except StreamInUseError:
            raise
        except ClosedError:
            if self._closed:
                raise StopAsyncIteration from None
            raise
        except Exception as error:
            self._observer(StreamEnded(error=error))
            raise
        if self._closed:
            raise StopAsyncIteration
        return reading

    async def _load_or_save(self, checkpointer: Checkpointer) -> None:
        """Take up the place that is kept, or keep it: now and then, and before a wait."""
        if not self._begun:
            await self._keeping.result(partial(self._load, checkpointer))
        elif not checkpointer.in_transactions and (checkpointer.due or self._reader.wait > 0):
            await self._keeping.result(partial(checkpointer.save, self._frontier.position))

    async def _load(self, checkpointer: Checkpointer) -> None:
        self._begin_at(await checkpointer.load(self._query))

    def _begin_at(self, start: Position) -> None:
        """Take up a place that a store has kept, before anything is read."""
        self._begun = True
        self._frontier = Frontier(start)
        self._reader.go_on_from(start)

    async def _settle_malformed(self, error: MalformedSessionError) -> None:
        """Have someone settle it, or raise it: each time it is met, until someone does."""
        self._observer(SessionMalformed(error=error))
        if self._on_malformed is None:
            # Whoever asks again and again shall not keep the loop from its other work.
            await self._clock.sleep(0)
            raise copy(error)
        with self._alone():
            try:
                await self._on_malformed(error)
            except StopAsyncIteration as stop:
                # It would end the loop over the stream as if there were no more sessions.
                raise RuntimeError("on_malformed raised StopAsyncIteration") from stop

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._busy:
            raise StreamInUseError("another task is waiting for this stream's next session")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    @property
    def closed(self) -> bool:
        """Whether it has ended or was closed."""
        return self._closed

    # For the consumer, which settles by itself

    async def begin_with(
        self, checkpointer: Checkpointer, on_close: Callable[[], None]
    ) -> Frontier:
        """Begin at the saved position, and return the frontier for the caller to settle."""
        if self._checkpointer is not None:
            raise InvalidArgumentError("stream", "give name and store to consume(), not to it")
        if self._on_malformed is not None:
            raise InvalidArgumentError("stream", "consume() has on_failure, and not on_malformed")
        if self._used or self._closed:
            raise InvalidArgumentError("stream", "it is begun already; make a new one")
        self._used = True
        self._on_close = on_close
        self._begin_at(await checkpointer.load(self._query))
        return self._frontier

    async def readings(self) -> AsyncGenerator[Reading, None]:
        """Yield what is read, without settling anything."""
        try:
            while True:
                yield await self._next_reading()
        except StopAsyncIteration:
            return


class PageStream:
    """The pages of a stream; see `SessionStream.pages`."""

    def __init__(self, stream: SessionStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page:
        return await self._stream._next_page()  # noqa: SLF001  # the other half of one thing

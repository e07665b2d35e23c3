"""The stream: sessions to loop over, and how far you have come."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Self

from .background import Background
from .clock import Clock
from .cursors import Entry
from .errors import (
    ClosedError,
    MalformedSessionError,
    StreamInUseError,
)
from .health import Health, Pulse
from .models import CoachingSession, Position
from .reader import PageReader, Reading
from .telemetry import SessionMalformed, StreamEnded
from .wire import Page

OnMalformed = Callable[[MalformedSessionError], Awaitable[None]]
"""Settles a session that can't be read; returning means it need not come again."""


class SessionStream:
    """Coaching sessions, one version after another, in the server's order.

    Loop over it: ``async for session in stream``. A session is settled when you ask for the next
    one; if you leave the loop, by ``break`` or by an exception, the last one is not, and
    `position` says so. A time-out around a step loses nothing and repeats nothing: the page goes
    on being fetched, and the next step finds it. One task at a time may read a stream.

    It ends when its ``end_time`` is reached, or by `aclose`; otherwise only with an exception,
    after which asking again tries again.
    """

    def __init__(
        self,
        *,
        reader: PageReader,
        background: Background,
        pulse: Pulse,
        clock: Clock,
        after: str | None,
        on_malformed: OnMalformed | None,
    ) -> None:
        self._reader = reader
        self._background = background
        self._pulse = pulse
        self._clock = clock
        self._on_malformed = on_malformed
        self._fetch: asyncio.Task[Reading] | None = None
        self._busy = False
        self._closed = False
        # The page in hand: entries before `_next` have been handed out, the last `_held` of those
        # are still with the user.
        self._page: Reading | None = None
        self._entries: tuple[Entry, ...] = ()
        self._next = 0
        self._held = 0
        # What is settled for good.
        self._cursor = after
        self._cursor_time: datetime | None = None
        self._beyond: list[tuple[str, datetime]] = []
        self._watermark: datetime | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CoachingSession:
        if self._closed:
            raise StopAsyncIteration
        self._held = 0
        while True:
            if self._next == len(self._entries):
                await self._turn_page()
                continue
            entry = self._entries[self._next]
            if isinstance(entry, CoachingSession):
                self._next += 1
                self._held = 1
                return entry
            await self._settle_malformed(entry)
            self._next += 1

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
        return Page(
            entries=rest,
            end_cursor=self._page.cursor or "",
            has_next_page=self._page.has_next_page,
            size=self._page.size,
        )

    @property
    def position(self) -> Position:
        """How far you have come: what is settled, not what was fetched."""
        settled = self._entries[: self._next - self._held]
        return Position(
            query=self._reader.query.wire,
            cursor=self._cursor,
            cursor_time=self._cursor_time,
            settled=(*self._beyond, *_keys(settled)),
            watermark=_latest(self._watermark, settled),
        )

    @property
    def health(self) -> Health:
        """What the stream is doing right now."""
        settled = self._entries[: self._next - self._held]
        return self._pulse.health(
            now=self._clock.monotonic(),
            today=self._clock.now(),
            cursor_time=self._cursor_time,
            watermark=_latest(self._watermark, settled),
        )

    async def aclose(self) -> None:
        """End the stream, from any task; twice is harmless. The client stays open.

        The session in hand stays unsettled; a task that waits for the next one sees the loop end.
        """
        if not self._closed:
            self._closed = True
            self._reader.announce(StreamEnded())
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait((self._fetch,))

    def __repr__(self) -> str:
        return f"<SessionStream {self._reader.query.wire!r} {self.health.state}>"

    def __del__(self) -> None:
        # Nobody can ask for the page any more, so its retries need not go on.
        if self._fetch is not None and not self._fetch.get_loop().is_closed():
            self._fetch.cancel()

    async def _turn_page(self) -> None:
        """Settle the page in hand and take up the next."""
        self._finish_page()
        if self._reader.ended:
            if not self._closed:
                self._closed = True
                self._reader.announce(StreamEnded())
            raise StopAsyncIteration
        with self._alone():
            if self._fetch is None:
                self._fetch = self._background.start(self._reader.read())
            # Cancelled here, the fetch goes on, and the next call waits for it again.
            await asyncio.wait((self._fetch,))
        fetch, self._fetch = self._fetch, None
        if fetch.cancelled():
            if self._closed:
                raise StopAsyncIteration
            raise ClosedError("the client is closed")
        if error := fetch.exception():
            if isinstance(error, Exception):
                self._reader.announce(StreamEnded(error=error))
            raise error
        self._page = fetch.result()
        self._entries, self._next = self._page.entries, 0

    def _finish_page(self) -> None:
        if self._page is None:
            return
        if self._page.moved:
            self._cursor, self._cursor_time = self._page.cursor, self._page.cursor_time
            if self._entries:  # these are new, so what came ahead of the cursor is passed
                self._beyond.clear()
        else:
            self._beyond += _keys(self._entries)
        self._watermark = _latest(self._watermark, self._entries)
        self._page, self._entries, self._next = None, (), 0

    async def _settle_malformed(self, error: MalformedSessionError) -> None:
        """Have someone settle it, or raise it: each time it is met, until someone does."""
        self._reader.announce(SessionMalformed(error=error))
        if self._on_malformed is None:
            raise error
        with self._alone():
            await self._on_malformed(error)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._busy:
            raise StreamInUseError("another task is waiting for this stream's next session")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False


class PageStream:
    """The pages of a stream; see `SessionStream.pages`."""

    def __init__(self, stream: SessionStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page:
        return await self._stream._next_page()  # noqa: SLF001  # the other half of one thing


def _keys(entries: Sequence[Entry]) -> list[tuple[str, datetime]]:
    """Name the versions; one that can't be named can't be skipped either, and comes again."""
    keys = []
    for entry in entries:
        if isinstance(entry, CoachingSession):
            keys.append(entry.key)
        elif entry.session_id is not None and entry.updated_at_time is not None:
            keys.append((entry.session_id, entry.updated_at_time))
    return keys


def _latest(watermark: datetime | None, entries: Sequence[Entry]) -> datetime | None:
    times = [entry.updated_at_time for entry in entries if entry.updated_at_time is not None]
    if watermark is not None:
        times.append(watermark)
    return max(times, default=None)

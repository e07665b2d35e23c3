"""Loops over a stream: by sessions and by pages."""

from typing import Self

from ..errors import MalformedSessionError
from ..models import CoachingSession
from ..wire.pages import Page
from .source import StreamSource


class SessionLoop:
    """One ``async for`` over the sessions of a stream."""

    def __init__(self, source: StreamSource, stream: object | None) -> None:
        self._source = source
        self._hand = source.hand
        self._stream = stream  # which closes when nobody holds it any more
        self.begun = self.current = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CoachingSession:
        if not self.current:
            self._source.begin(self)
        hand = self._hand
        while not self._source.closed:
            index = hand.next
            if index == len(hand.entries):
                await self._source.turn_page()
                continue
            entry = hand.entries[index]
            if isinstance(entry, CoachingSession):
                hand.next, hand.held = index + 1, 1
                return entry
            hand.held = 0
            await self._source.settle_malformed(entry)
            hand.next += 1
        raise self._source.no_more()


class PageStream:
    """The pages of a stream; see `SessionStream.pages`."""

    def __init__(self, source: StreamSource, stream: object) -> None:
        self._source = source
        self._hand = source.hand
        self._stream = stream  # which closes when nobody holds it any more
        self.begun = self.current = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page:
        if not self.current:
            self._source.begin(self)
        source, hand = self._source, self._hand
        if source.closed:
            raise source.no_more()
        hand.held = 0
        if hand.next == len(hand.entries):
            await source.turn_page()
        assert hand.page is not None
        rest = hand.entries[hand.next :]
        for entry in rest:
            if isinstance(entry, MalformedSessionError):
                await source.settle_malformed(entry)
        hand.next = len(hand.entries)
        hand.held = len(rest)
        reading = hand.page.reading
        return Page(
            entries=rest,
            end_cursor=reading.cursor or "",
            has_next_page=reading.has_next_page,
            size=reading.size,
        )

"""What a consumer reads from: a stream, or any async iterable of pages."""

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import Protocol

from ..feed.reading import Reading
from ..progress.checkpointer import Checkpointer
from ..progress.frontier import Frontier
from ..telemetry import Observer
from ..wire.pages import Page
from ..wire.query import Query


class Source(Protocol):
    """What a consumer reads from."""

    async def begin_with(
        self, checkpointer: Checkpointer, on_close: Callable[[], None]
    ) -> Frontier:
        """Load the position; return the frontier, which the consumer settles from now on.

        ``on_close`` is called when somebody closes the source.
        """
        ...

    def observing(self, observer: Observer) -> Observer:
        """Return an observer for the consumer's events: the source sees them first."""
        ...

    def readings(self) -> AsyncGenerator[Reading, None]:
        """Yield what is read."""
        ...

    async def aclose(self) -> None:
        """Read no more."""
        ...


class PagesSource:
    """Makes a source of any async iterable of pages."""

    _QUERY = "startTime=1970-01-01T00%3A00%3A00Z"
    """Pages of unknown origin have no query that could differ."""

    def __init__(self, pages: AsyncIterable[Page]) -> None:
        self._pages = pages

    async def begin_with(
        self, checkpointer: Checkpointer, on_close: Callable[[], None]
    ) -> Frontier:
        del on_close  # an iterable can't be closed by others
        return Frontier(await checkpointer.load(Query.from_wire(self._QUERY)))

    def observing(self, observer: Observer) -> Observer:
        return observer

    async def aclose(self) -> None:
        """Do nothing: whoever made the iterable closes it."""

    async def readings(self) -> AsyncGenerator[Reading, None]:
        async for page in self._pages:
            yield Reading(
                entries=page.entries,
                cursor=page.end_cursor or None,
                moved=page.end_cursor != "",
                has_next_page=page.has_next_page,
                size=page.size,
            )

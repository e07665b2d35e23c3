"""What a consumer reads from: a stream, or pages of any origin."""

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Protocol

from ..errors import InvalidArgumentError
from ..feed.reading import Reading
from ..feed.recent import Batch
from ..models import Position
from ..progress.checkpointer import Checkpointer
from ..progress.frontier import Frontier
from ..retry import RetryPolicy
from ..telemetry import Observer
from ..wire.pages import Page
from ..wire.query import Query

PagesAfter = Callable[[Position], AsyncIterable[Page]]
"""Returns the pages after a position: after its ``cursor``, or the first ones if that is None."""


class Source(Protocol):
    """What a consumer reads from."""

    @property
    def retry(self) -> RetryPolicy | None:
        """How patient it is with its server; None: it has none."""
        ...

    async def begin_with(
        self, checkpointer: Checkpointer, on_close: Callable[[], None]
    ) -> Frontier:
        """Load the position; return the frontier, which the consumer settles from now on.

        ``on_close`` is called when somebody closes the source.
        """
        ...

    def observing(self, observer: Observer) -> Observer:
        """Return an observer for the consumer's events, of which the source takes note first."""
        ...

    def readings(self) -> AsyncGenerator[Reading, None]:
        """Yield what is read."""
        ...

    async def aclose(self) -> None:
        """Read no more."""
        ...


class PagesSource:
    """Makes a source of pages of any origin."""

    _QUERY = "startTime=1970-01-01T00%3A00%3A00Z"
    """Pages of unknown origin have no query that could differ."""

    def __init__(self, pages_after: PagesAfter) -> None:
        self.retry = None
        self._pages_after = pages_after
        self._start: Position | None = None
        self._checkpointer: Checkpointer | None = None

    async def begin_with(
        self, checkpointer: Checkpointer, on_close: Callable[[], None]
    ) -> Frontier:
        del on_close  # pages can't be closed by others
        self._checkpointer = checkpointer
        self._start = await checkpointer.load(Query.from_wire(self._QUERY))
        return Frontier(self._start)

    def observing(self, observer: Observer) -> Observer:
        """Return the observer as it is: pages have no health."""
        return observer

    async def aclose(self) -> None:
        """Do nothing: the end of `readings` closes the pages."""

    async def readings(self) -> AsyncGenerator[Reading, None]:
        assert self._start is not None
        assert self._checkpointer is not None
        pages = self._pages_after(self._start)
        if not isinstance(pages, AsyncIterable):
            raise InvalidArgumentError("stream", "the function returns no async iterable of pages")
        async with AsyncExitStack() as stack:
            if isinstance(pages, AsyncGenerator):
                await stack.enter_async_context(aclosing(pages))
            async for page in pages:
                batch = Batch(page.entries, page.body)
                yield Reading(
                    entries=page.entries,
                    batch=batch,
                    cursor=page.end_cursor or None,
                    moved=page.end_cursor != "",
                    has_next_page=page.has_next_page,
                    size=page.size,
                    newest=max(batch.times, default=None),
                )
                await self._checkpointer.until_it_answers()

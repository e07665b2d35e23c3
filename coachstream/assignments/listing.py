"""Iterates over assignments, page after page."""

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Self

from ..errors import CursorLoopError, MalformedAssignmentError
from ..models import CoachAssignment, Pagination
from ..tasks import DetachedTask, Exclusive, Runtime, supervised
from ..wire.assignments import AssignmentEntry
from ..wire.query import Query

OnMalformed = Callable[[MalformedAssignmentError], Awaitable[None]]
"""Given each assignment that can't be decoded; when it returns, the list goes on."""

AssignmentPage = tuple[Sequence[AssignmentEntry], Pagination]
FetchPage = Callable[[str], Coroutine[Any, Any, AssignmentPage]]
"""Requests the page of a query string. It must not hold the list, which it would keep alive."""


class AssignmentList:
    """An async iterator over assignments; see `Assignments.list`."""

    def __init__(
        self,
        *,
        query: Query,
        fetch_page: FetchPage,
        on_malformed: OnMalformed | None,
        runtime: Runtime,
    ) -> None:
        self._query = query
        self._fetch_page = fetch_page
        self._on_malformed = on_malformed
        self._runtime = runtime
        self._fetching: DetachedTask[AssignmentPage] = DetachedTask(runtime.tasks)
        self._cursor: str | None = None
        self._seen_cursors: set[str] = set()
        self._page: deque[AssignmentEntry] = deque()
        self._ended = False
        self._exclusive = Exclusive("another task is waiting for this list's next assignment")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CoachAssignment:
        with self._exclusive:
            return await self._next()

    def __del__(self) -> None:
        # Nobody can read the page any more, so its retries need not go on.
        self._fetching.abandon()

    async def _next(self) -> CoachAssignment:
        while True:
            while not self._page:
                if self._ended:
                    raise StopAsyncIteration
                fetch = partial(self._fetch_page, self._query.after(self._cursor))
                self._add_page(*await self._fetching.result(fetch))
            entry = self._page[0]
            if isinstance(entry, MalformedAssignmentError):
                await self._settle_malformed(entry)
            self._page.popleft()
            if isinstance(entry, CoachAssignment):
                return entry

    async def _settle_malformed(self, error: MalformedAssignmentError) -> None:
        if self._on_malformed is None:
            self._page.popleft()  # raised once: the next step goes on after it
            raise error
        await supervised(partial(self._on_malformed, error), "on_malformed", self._runtime)

    def _add_page(self, page: Sequence[AssignmentEntry], pagination: Pagination) -> None:
        cursor = pagination.end_cursor
        if pagination.has_next_page and (not cursor or cursor in self._seen_cursors):
            raise CursorLoopError(
                f"the server reports more pages, but its cursor {cursor!r} is empty or not new"
            )
        self._page.extend(page)
        self._ended = not pagination.has_next_page
        self._cursor = cursor
        self._seen_cursors.add(cursor)

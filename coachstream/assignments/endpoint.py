"""Lists the coaches of drivers, assigns a coach to a driver, and removes it."""

from collections import deque
from collections.abc import Sequence
from typing import Self

from ..errors import CursorLoopError
from ..http.rate_limit import Limiter
from ..http.transport import Transport
from ..models import CoachAssignment, Pagination
from ..retry import Patience
from ..tasks import BackgroundTasks, DetachedTask
from ..wire import assignments
from ..wire import query as queries
from ..wire.query import Filters, Query

PATH = "/coaching/driver-coach-assignments"


class Assignments:
    """``client.assignments``: lists and changes the coaches of drivers, at most one per driver.

    A failed request is tried up to ``RetryPolicy.attempts`` times. `assign` and `unassign` are
    idempotent, so retries are safe. Of two concurrent writers, the last one wins.
    """

    def __init__(
        self, *, transport: Transport, limiter: Limiter, patience: Patience, tasks: BackgroundTasks
    ) -> None:
        self._transport = transport
        self._limiter = limiter
        self._patience = patience
        self._tasks = tasks

    def list(
        self,
        *,
        driver_ids: Sequence[str] | None = None,
        coach_ids: Sequence[str] | None = None,
        include_external_ids: bool = False,
    ) -> "AssignmentList":
        """Return an async iterator over all assignments, page after page.

        After an error or a time-out, the iterator can be used again: it continues where it was.

        Args:
            driver_ids: Only these drivers, by Samsara id or external id (``key:value``).
            coach_ids: Only drivers of these coaches.
            include_external_ids: Also return the drivers' external ids.

        Raises:
            InvalidArgumentError: at the call: an argument can't be used; the error names it.
            ApiError: while iterating: the server refused the request.
            TransportError: while iterating: no complete response was received.
            UndecodableError: while iterating: a response is not a page of assignments.
            CursorLoopError: while iterating: the server repeats the same pages.
            ClosedError: while iterating: the client is closed.
        """
        filters = Filters(
            driver_ids=driver_ids, coach_ids=coach_ids, include_external_ids=include_external_ids
        )
        return AssignmentList(
            query=queries.assignments_query(filters),
            transport=self._transport,
            limiter=self._limiter,
            patience=self._patience,
            tasks=self._tasks,
        )

    async def assign(self, driver_id: str, coach_id: str) -> CoachAssignment:
        """Make ``coach_id`` the coach of ``driver_id``; it replaces any other coach.

        Both are Samsara ids: the API documents external ids for the list only.

        Raises:
            InvalidArgumentError: an id is empty or None; to remove a coach, call `unassign`.
            ApiError: the server refused the request, such as `NotFoundError` for an unknown id.
            TransportError: no complete response was received; the change may have been made.
            UndecodableError: the response can't be decoded; the change may have been made.
            ClosedError: the client is closed.
        """
        return await self._put(queries.assign_query(driver_id, coach_id))

    async def unassign(self, driver_id: str) -> CoachAssignment:
        """Remove the coach of ``driver_id``, if the driver has one.

        Raises:
            InvalidArgumentError: the id is empty or None.
            Other errors: as for `assign`.
        """
        return await self._put(queries.unassign_query(driver_id))

    async def _put(self, query: str) -> CoachAssignment:
        # The API documents query parameters for this PUT, and no body.
        return await self._transport.call(
            "PUT",
            PATH,
            query,
            limiter=self._limiter,
            patience=self._patience,
            read=_read_change,
        )


class AssignmentList:
    """An async iterator over assignments; see `Assignments.list`."""

    def __init__(
        self,
        *,
        query: Query,
        transport: Transport,
        limiter: Limiter,
        patience: Patience,
        tasks: BackgroundTasks,
    ) -> None:
        self._query = query
        self._transport = transport
        self._limiter = limiter
        self._patience = patience
        self._fetching: DetachedTask[tuple[tuple[CoachAssignment, ...], Pagination]] = DetachedTask(
            tasks
        )
        self._cursor: str | None = None
        self._seen_cursors: set[str] = set()
        self._page: deque[CoachAssignment] = deque()
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CoachAssignment:
        while not self._page:
            if self._ended:
                raise StopAsyncIteration
            self._add_page(*await self._fetching.result(self._fetch_page))
        return self._page.popleft()

    async def _fetch_page(self) -> tuple[tuple[CoachAssignment, ...], Pagination]:
        return await self._transport.call(
            "GET",
            PATH,
            self._query.after(self._cursor),
            limiter=self._limiter,
            patience=self._patience,
            read=_read_page,
        )

    def _add_page(self, page: tuple[CoachAssignment, ...], pagination: Pagination) -> None:
        cursor = pagination.end_cursor
        if pagination.has_next_page and (not cursor or cursor in self._seen_cursors):
            raise CursorLoopError(
                f"the server reports more pages, but its cursor {cursor!r} is empty or not new"
            )
        self._page.extend(page)
        self._ended = not pagination.has_next_page
        self._cursor = cursor
        self._seen_cursors.add(cursor)


async def _read_page(body: bytes) -> tuple[tuple[CoachAssignment, ...], Pagination]:
    return assignments.assignments_page(body)


async def _read_change(body: bytes) -> CoachAssignment:
    return assignments.assignment_change(body)

"""Who coaches whom: read the list, give a driver a coach, take the coach away."""

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
    """``client.assignments``: one coach per driver at most.

    Each call asks up to the retry policy's ``attempts`` times. The writes set an absolute state,
    so that asking twice does no harm; of two writers, the last one wins.
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
        """Iterate over all assignments, page after page.

        Whatever goes wrong on the way, asking for the next one goes on where it was.

        Args:
            driver_ids: Only these drivers', by Samsara id or external id (``key:value``).
            coach_ids: Only these coaches'.
            include_external_ids: Tell the drivers' external ids.

        Raises:
            InvalidArgumentError: at once, naming the argument that can't be used.
            ApiError: while iterating: the server refused.
            CursorLoopError: while iterating: the server leads in circles.
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
        """Make ``coach_id`` the coach of ``driver_id``, in place of any other.

        Both are Samsara ids: unlike the list, the API does not document external ids here.

        Raises:
            InvalidArgumentError: an id is empty or None; to remove a coach, say `unassign`.
            ApiError: the server refused, such as `NotFoundError` for an id it does not know.
        """
        return await self._put(queries.assign_query(driver_id, coach_id))

    async def unassign(self, driver_id: str) -> CoachAssignment:
        """Leave ``driver_id`` without a coach; harmless if there is none.

        Raises:
            InvalidArgumentError: the id is empty or None.
            ApiError: the server refused.
        """
        return await self._put(queries.unassign_query(driver_id))

    async def _put(self, query: str) -> CoachAssignment:
        # Parameters go in the query; the API documents no body for this PUT.
        return await self._transport.call(
            "PUT",
            PATH,
            query,
            limiter=self._limiter,
            patience=self._patience,
            read=_changed,
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
        self._fetch: DetachedTask[tuple[tuple[CoachAssignment, ...], Pagination]] = DetachedTask(
            tasks
        )
        self._cursor: str | None = None
        self._passed: set[str] = set()
        self._page: deque[CoachAssignment] = deque()
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CoachAssignment:
        while not self._page:
            if self._ended:
                raise StopAsyncIteration
            self._take_in(*await self._fetch.result(self._ask))
        return self._page.popleft()

    async def _ask(self) -> tuple[tuple[CoachAssignment, ...], Pagination]:
        return await self._transport.call(
            "GET",
            PATH,
            self._query.after(self._cursor),
            limiter=self._limiter,
            patience=self._patience,
            read=_listed,
        )

    def _take_in(self, page: tuple[CoachAssignment, ...], pagination: Pagination) -> None:
        cursor = pagination.end_cursor
        if pagination.has_next_page and (not cursor or cursor in self._passed):
            raise CursorLoopError(
                f"cursor {cursor!r} leads nowhere new, and the server says there is more"
            )
        self._page.extend(page)
        self._ended = not pagination.has_next_page
        self._cursor = cursor
        self._passed.add(cursor)


async def _listed(body: bytes) -> tuple[tuple[CoachAssignment, ...], Pagination]:
    return assignments.assignments_page(body)


async def _changed(body: bytes) -> CoachAssignment:
    return assignments.assignment_change(body)

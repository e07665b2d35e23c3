"""Lists the coaches of drivers, assigns a coach to a driver, and removes it."""

import asyncio
from collections.abc import Sequence
from copy import copy
from functools import partial
from weakref import WeakValueDictionary

from ..arguments import async_function
from ..errors import ClosedError, CoachStreamError, UndecodableError
from ..http.rate_limit import Limiter
from ..http.transport import Transport
from ..models import CoachAssignment, Driver
from ..retry import Patience
from ..tasks import Runtime
from ..text import printable
from ..wire import assignments
from ..wire import query as queries
from ..wire.query import Filters
from .listing import AssignmentList, AssignmentPage, OnMalformed

PATH = "/coaching/driver-coach-assignments"


class Assignments:
    """``client.assignments``: lists and changes the coaches of drivers, at most one per driver.

    A failed request is tried up to ``RetryPolicy.attempts`` times. `assign` and `unassign` are
    idempotent, so retries are safe. Changes of one driver are made one at a time, in the order of
    the calls, so that no retry undoes a later change. Of two clients, the last one wins.
    """

    def __init__(
        self, *, transport: Transport, limiter: Limiter, patience: Patience, runtime: Runtime
    ) -> None:
        self._transport = transport
        self._limiter = limiter
        self._patience = patience
        self._runtime = runtime
        self._changing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def list(
        self,
        *,
        driver_ids: Sequence[str] | None = None,
        coach_ids: Sequence[str] | None = None,
        include_external_ids: bool = False,
        on_malformed: OnMalformed | None = None,
    ) -> AssignmentList:
        """Return an async iterator over all assignments, page after page.

        After an error or a time-out, the iterator can be used again: it continues where it was,
        after an assignment that can't be decoded with the next one.

        Args:
            driver_ids: Only these drivers, by Samsara id or external id (``key:value``).
            coach_ids: Only drivers of these coaches.
            include_external_ids: Also return the drivers' external ids.
            on_malformed: An async function that is given each assignment that can't be decoded, as
                a `MalformedAssignmentError`. None: it is raised in its place.

        Raises:
            InvalidArgumentError: at the call: an argument can't be used; the error names it.
            ApiError: while iterating: the server refused the request.
            TransportError: while iterating: no complete response was received.
            UndecodableError: while iterating: a response is not a page of assignments.
            MalformedAssignmentError: while iterating: one assignment can't be decoded.
            CursorLoopError: while iterating: the server repeats the same pages.
            StreamInUseError: while iterating: another task is waiting for the next assignment.
            ClosedError: while iterating: the client is closed.
        """
        filters = Filters(
            driver_ids=driver_ids, coach_ids=coach_ids, include_external_ids=include_external_ids
        )
        if on_malformed is not None:
            on_malformed = async_function("on_malformed", on_malformed)
        return AssignmentList(
            query=queries.assignments_query(filters),
            fetch_page=partial(
                self._transport.call,
                "GET",
                PATH,
                limiter=self._limiter,
                patience=self._patience,
                read=_read_page,
            ),
            on_malformed=on_malformed,
            runtime=self._runtime,
        )

    async def assign(self, driver_id: str, coach_id: str) -> CoachAssignment:
        """Make ``coach_id`` the coach of ``driver_id``; it replaces any other coach.

        All errors have ``driver_id`` and ``coach_id``.

        Both are Samsara ids: the API documents external ids for the list only. If the server
        accepts the change and its response can't be decoded, the result has the two ids alone,
        unless the list shows another coach; then it is tried again.

        Raises:
            InvalidArgumentError: an id is empty or None; to remove a coach, call `unassign`.
            ApiError: the server refused the request, such as `NotFoundError` for an unknown id.
            TransportError: no complete response was received; the change may have been made.
            UndecodableError: no response can be decoded, and the list has another coach.
            ClosedError: the client is closed.
        """
        return await self._change(queries.assign_query(driver_id, coach_id), driver_id, coach_id)

    async def unassign(self, driver_id: str) -> CoachAssignment:
        """Remove the coach of ``driver_id``, if the driver has one.

        Raises:
            InvalidArgumentError: the id is empty or None.
            ApiError: the server refused the request, such as `NotFoundError` for an unknown id.
            TransportError: no complete response was received; the change may have been made.
            UndecodableError: no response can be decoded, and the list has a coach.
            ClosedError: the client is closed.
        """
        return await self._change(queries.unassign_query(driver_id), driver_id, None)

    async def _change(self, query: str, driver_id: str, coach_id: str | None) -> CoachAssignment:
        async def read(body: bytes) -> CoachAssignment:
            try:
                return assignments.assignment_change(body)
            except UndecodableError:
                # By its status the change is made, and it is made again only if the list denies it:
                # a proxy may have sent a page of its own.
                if await self._is_denied(driver_id, coach_id):
                    raise
                return CoachAssignment(driver=Driver(driver_id=driver_id), coach_id=coach_id)

        async with self._changing.setdefault(driver_id, asyncio.Lock()):
            try:
                # The API documents query parameters for this PUT, and no body.
                return await self._transport.call(
                    "PUT", PATH, query, limiter=self._limiter, patience=self._patience, read=read
                )
            except CoachStreamError as error:
                # A copy: all who waited for one token get one error.
                raise _naming(copy(error), driver_id, coach_id) from error.__cause__

    async def _is_denied(self, driver_id: str, coach_id: str | None) -> bool:
        """Return whether the list has another coach for the driver."""
        try:
            listed = [one async for one in self.list(driver_ids=[driver_id])]
        except ClosedError:
            raise
        except CoachStreamError:
            return False
        coaches = [one.coach_id for one in listed if one.driver.driver_id == driver_id]
        return coach_id not in (coaches or [None])


def _naming(error: CoachStreamError, driver_id: str, coach_id: str | None) -> CoachStreamError:
    """Let an error say whose coach could not be changed."""
    error.driver_id, error.coach_id = driver_id, coach_id
    change = f"coach {coach_id}" if coach_id is not None else "no coach"
    error.args = (f"{error} (driver {printable(driver_id, 100)}, {printable(change, 100)})",)
    return error


async def _read_page(body: bytes) -> AssignmentPage:
    return assignments.assignments_page(body)

"""Arguments to query strings: checked when made, sent byte for byte the same ever after.

The server binds a cursor to the exact parameters it was issued for, the order of ids included: the
smallest difference is refused with 400. So a query is encoded once, and only the cursor is added.

Arrays are comma-joined (``style: form, explode: false`` in Samsara's OpenAPI description) and every
value is percent-encoded, or the ``+`` of a cursor or an external id would be read as a space.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import quote, unquote

import msgspec

from ..arguments import flag
from ..errors import InvalidArgumentError
from ..models import FILTER_STATUSES


class Query(msgspec.Struct, frozen=True):
    """The parameters of a paged request, encoded, without the cursor."""

    wire: str
    """What is sent, on every page."""
    bounded: bool = True
    """Whether the pages come to an end: False for a feed that is followed."""

    @classmethod
    def from_wire(cls, wire: str) -> Self:
        """Return the sessions query that was once encoded as ``wire``."""
        return cls(wire, bounded="&endTime=" in wire)

    @property
    def start(self) -> datetime:
        """Where a sessions query starts."""
        return datetime.fromisoformat(unquote(self.wire.partition("&")[0].partition("=")[2]))

    @property
    def end(self) -> datetime | None:
        """Where a bounded sessions query ends."""
        second = self.filters.partition("&")[0]
        name, _, value = second.partition("=")
        return datetime.fromisoformat(unquote(value)) if name == "endTime" else None

    @property
    def filters(self) -> str:
        """All of a sessions query but its start."""
        return self.wire.partition("&")[2]

    def starting(self, start: datetime) -> Self:
        """Return the same sessions query with another start."""
        parts = (_encode({"startTime": _timestamp(start.astimezone(UTC))}), self.filters)
        return msgspec.structs.replace(self, wire="&".join(filter(None, parts)))

    def within(self, start: datetime, end: datetime) -> Self:
        """Return the same sessions query for a window of its time."""
        times = {
            "startTime": _timestamp(start.astimezone(UTC)),
            "endTime": _timestamp(end.astimezone(UTC)),
        }
        others = self.filters if self.end is None else self.filters.partition("&")[2]
        return type(self)("&".join(filter(None, (_encode(times), others))))

    def after(self, cursor: str | None) -> str:
        """Return the query string of the page after ``cursor``; None asks for the first."""
        if not cursor:
            return self.wire
        return "&".join(filter(None, (self.wire, f"after={_escape('after', cursor)}")))


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which records are requested, and with which details, as the caller said it."""

    driver_ids: Sequence[str] | None = None
    coach_ids: Sequence[str] | None = None
    session_statuses: Sequence[str] | None = None
    include_coachable_events: bool = False
    include_external_ids: bool = False

    def parameters(self) -> dict[str, str]:
        """Return them as the API spells them.

        Raises:
            InvalidArgumentError: naming the argument that can't be sent.
        """
        parameters = {}
        if self.driver_ids is not None:
            parameters["driverIds"] = ",".join(_ids("driver_ids", self.driver_ids))
        if self.coach_ids is not None:
            parameters["coachIds"] = ",".join(_ids("coach_ids", self.coach_ids))
        if self.session_statuses is not None:
            parameters["sessionStatuses"] = _statuses(self.session_statuses)
        if flag("include_coachable_events", self.include_coachable_events):
            parameters["includeCoachableEvents"] = "true"
        if flag("include_external_ids", self.include_external_ids):
            parameters["includeExternalIds"] = "true"
        return parameters


def sessions_query(
    *, start_time: datetime, end_time: datetime | None = None, filters: Filters | None = None
) -> Query:
    """Build the query of ``GET /coaching/sessions/stream``.

    Times are sent in milliseconds, the finest the vendor documents; ``start_time`` is rounded down
    and ``end_time`` up, so that rounding never leaves a session out.

    Raises:
        InvalidArgumentError: naming the argument that can't be sent.
    """
    start = _moment("start_time", start_time)
    parameters = {"startTime": _timestamp(start)}
    if end_time is not None:
        end = _moment("end_time", end_time)
        if end < start:
            raise InvalidArgumentError(
                "end_time", f"{end.isoformat()} is before start_time, {start.isoformat()}"
            )
        # Equal times ask for a snapshot, so rounding must neither make nor unmake equality.
        parameters["endTime"] = _timestamp(end if end == start else _round_up(end))
    parameters |= (filters or Filters()).parameters()
    return Query(_encode(parameters), bounded=end_time is not None)


def assignments_query(filters: Filters) -> Query:
    """Build the query of ``GET /coaching/driver-coach-assignments``.

    Raises:
        InvalidArgumentError: naming the argument that can't be sent.
    """
    return Query(_encode(filters.parameters()))


def assign_query(driver_id: str, coach_id: str) -> str:
    """Build the query of the PUT that gives a driver a coach.

    Raises:
        InvalidArgumentError: either id is empty or not a string. The API reads a missing coach as
            "remove the coach", so None is never passed on.
    """
    return _encode({"driverId": _id("driver_id", driver_id), "coachId": _id("coach_id", coach_id)})


def unassign_query(driver_id: str) -> str:
    """Build the query of the PUT that takes a driver's coach away: one without ``coachId``.

    Raises:
        InvalidArgumentError: the id is empty or not a string.
    """
    return _encode({"driverId": _id("driver_id", driver_id)})


def cursor_argument(after: str | None) -> str | None:
    """Return ``after`` if it can be sent; an empty one means the first page, as for the API.

    Raises:
        InvalidArgumentError: it is not a string, or not one that can be encoded.
    """
    if after is None or after == "":
        return None
    _escape("after", _string("after", after))
    return after


def _encode(parameters: dict[str, str]) -> str:
    return "&".join(f"{name}={_escape(name, value)}" for name, value in parameters.items())


_RESERVED = re.compile("[^A-Za-z0-9_.~-]")


def _escape(argument: str, value: str) -> str:
    if value.isascii():  # a cursor, say, on every page: several times as fast
        return _RESERVED.sub(lambda found: f"%{ord(found[0]):02X}", value)
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise InvalidArgumentError(argument, f"{value!r} is not valid text") from None


def _moment(argument: str, value: datetime) -> datetime:
    if not isinstance(value, datetime):
        raise InvalidArgumentError(argument, f"needs a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise InvalidArgumentError(
            argument, f"{value.isoformat()} has no time zone; pass an aware datetime"
        )
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidArgumentError(argument, f"{value.isoformat()} is out of range") from None


def _round_up(moment: datetime) -> datetime:
    try:
        return moment + timedelta(microseconds=-moment.microsecond % 1000)
    except OverflowError:
        raise InvalidArgumentError("end_time", f"{moment.isoformat()} is out of range") from None


def _timestamp(moment: datetime) -> str:
    spec = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def _ids(argument: str, values: Sequence[str]) -> list[str]:
    ids = [_id(argument, value) for value in _ordered(argument, values)]
    for value in ids:
        if "," in value:
            raise InvalidArgumentError(
                argument, f"{value!r} holds a comma, and the API takes ids joined by commas"
            )
    return ids


def _statuses(values: Sequence[str]) -> str:
    statuses = _ordered("session_statuses", values)
    for status in statuses:
        if status not in FILTER_STATUSES:
            raise InvalidArgumentError(
                "session_statuses", f"{status!r} is none of {', '.join(FILTER_STATUSES)}"
            )
    return ",".join(statuses)


def _ordered(argument: str, values: Iterable[str]) -> list[str]:
    """Return the values in the order given, which has to be the same after a restart."""
    if isinstance(values, str):
        raise InvalidArgumentError(argument, f"needs a list of strings, not the string {values!r}")
    if not isinstance(values, Sequence):
        raise InvalidArgumentError(
            argument, f"needs a list or tuple, whose order is fixed, not {type(values).__name__}"
        )
    if not values:
        raise InvalidArgumentError(argument, "is empty; leave it out to have no filter")
    return list(values)


def _id(argument: str, value: str) -> str:
    if not _string(argument, value).strip():
        raise InvalidArgumentError(argument, "an id is empty")
    _escape(argument, value)
    return value


def _string(argument: str, value: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentError(argument, f"needs a string, not {type(value).__name__}")
    return value

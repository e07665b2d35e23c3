"""Checks arguments and encodes them as query strings.

The server accepts a cursor only with exactly the parameters it was issued for, the order of ids
included; any difference is refused with 400. So a query is encoded once, and only the cursor is
added.

Arrays are comma-joined (``style: form, explode: false`` in Samsara's OpenAPI description). Every
value is percent-encoded, or the ``+`` of a cursor or an external id would be read as a space.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import quote, unquote

import msgspec

from ..arguments import flag
from ..enumerations import FILTER_STATUSES, FilterStatus
from ..errors import InvalidArgumentError
from ..text import printable


class Query(msgspec.Struct, frozen=True):
    """The encoded parameters of a paged request, without the cursor."""

    wire: str
    """The query string, which is sent with every page."""
    bounded: bool = True
    """Whether there is a last page: False for a feed without an end time."""

    @classmethod
    def from_wire(cls, wire: str) -> Self:
        """Return the sessions query with the query string ``wire``."""
        return cls(wire, bounded="&endTime=" in wire)

    @property
    def start(self) -> datetime:
        """The start time of a sessions query."""
        return datetime.fromisoformat(unquote(self.wire.partition("&")[0].partition("=")[2]))

    @property
    def end(self) -> datetime | None:
        """The end time of a sessions query; None: it has none."""
        second = self.filters.partition("&")[0]
        name, _, value = second.partition("=")
        return datetime.fromisoformat(unquote(value)) if name == "endTime" else None

    @property
    def filters(self) -> str:
        """All parameters of a sessions query except its start time."""
        return self.wire.partition("&")[2]

    def starting(self, start: datetime) -> Self:
        """Return the same sessions query with another start time."""
        parts = (_encode({"startTime": _timestamp(start.astimezone(UTC))}), self.filters)
        return msgspec.structs.replace(self, wire="&".join(filter(None, parts)))

    def within(self, start: datetime, end: datetime) -> Self:
        """Return the same sessions query for another range of time."""
        times = {
            "startTime": _timestamp(start.astimezone(UTC)),
            "endTime": _timestamp(end.astimezone(UTC)),
        }
        others = self.filters if self.end is None else self.filters.partition("&")[2]
        return type(self)("&".join(filter(None, (_encode(times), others))))

    def after(self, cursor: str | None) -> str:
        """Return the query string of the page after ``cursor``; None: of the first page."""
        if not cursor:
            return self.wire
        return "&".join(filter(None, (self.wire, f"after={_percent_encode('after', cursor)}")))


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which records are requested, and with which details, as the caller said it."""

    driver_ids: Sequence[str] | None = None
    coach_ids: Sequence[str] | None = None
    session_statuses: Sequence[FilterStatus] | None = None
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

    Times are sent in milliseconds, the finest the vendor documents. ``start_time`` is rounded down
    and ``end_time`` up, so that rounding never leaves a session out.

    Raises:
        InvalidArgumentError: an argument can't be used; the error names it.
    """
    start = utc("start_time", start_time)
    parameters = {"startTime": _timestamp(start)}
    if end_time is not None:
        end = utc("end_time", end_time)
        if end < start:
            raise InvalidArgumentError(
                "end_time", f"{end.isoformat()} is before start_time, {start.isoformat()}"
            )
        # Equal times request a snapshot, so rounding must not change whether they are equal.
        parameters["endTime"] = _timestamp(end if end == start else _round_up(end))
    parameters |= (filters or Filters()).parameters()
    return Query(_encode(parameters), bounded=end_time is not None)


def assignments_query(filters: Filters) -> Query:
    """Build the query of ``GET /coaching/driver-coach-assignments``.

    Raises:
        InvalidArgumentError: an argument can't be used; the error names it.
    """
    return Query(_encode(filters.parameters()))


def assign_query(driver_id: str, coach_id: str) -> str:
    """Build the query of the PUT that assigns a coach to a driver.

    Raises:
        InvalidArgumentError: an id is empty or not a string. The API removes the coach if the
            coach's id is missing, so None is never sent.
    """
    return _encode({"driverId": _id("driver_id", driver_id), "coachId": _id("coach_id", coach_id)})


def unassign_query(driver_id: str) -> str:
    """Build the query of the PUT that removes a driver's coach: it has no ``coachId``.

    Raises:
        InvalidArgumentError: the id is empty or not a string.
    """
    return _encode({"driverId": _id("driver_id", driver_id)})


def cursor_argument(after: str | None) -> str | None:
    """Return ``after``; None if it is empty, which means the first page, as in the API.

    Raises:
        InvalidArgumentError: it is not a string, or can't be encoded.
    """
    if after is None or after == "":
        return None
    _percent_encode("after", _string("after", after))
    return after


def _encode(parameters: dict[str, str]) -> str:
    return "&".join(f"{name}={_percent_encode(name, value)}" for name, value in parameters.items())


_RESERVED = re.compile("[^A-Za-z0-9_.~-]")


def _percent_encode(argument: str, value: str) -> str:
    if value.isascii():  # several times as fast, and cursors are encoded for every page
        return _RESERVED.sub(lambda found: f"%{ord(found[0]):02X}", value)
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise InvalidArgumentError(argument, f"{value!r} is not valid text") from None


def utc(argument: str, value: datetime) -> datetime:
    """Return an aware datetime in UTC.

    Raises:
        InvalidArgumentError: it is none, or has no time in UTC.
    """
    if not isinstance(value, datetime):
        raise InvalidArgumentError(argument, f"needs a datetime, not {type(value).__name__}")
    try:
        moment = None if value.utcoffset() is None else value.astimezone(UTC)
    except OverflowError:
        raise InvalidArgumentError(argument, f"{value.isoformat()} is out of range") from None
    except Exception as error:  # of its time zone, or because it is no time, such as pandas' NaT
        kind, why = type(value).__name__, printable(f"{type(error).__name__}: {error}")
        raise InvalidArgumentError(argument, f"this {kind} has no time in UTC ({why})") from error
    if moment is None:
        raise InvalidArgumentError(
            argument, f"{value.isoformat()} has no time zone; pass an aware datetime"
        )
    return moment


def _round_up(moment: datetime) -> datetime:
    try:
        return moment + timedelta(microseconds=-moment.microsecond % 1000)
    except OverflowError:
        raise InvalidArgumentError("end_time", f"{moment.isoformat()} is out of range") from None


def _timestamp(moment: datetime) -> str:
    spec = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def _ids(argument: str, values: Sequence[str]) -> list[str]:
    ids = [_id(argument, value) for value in _as_list(argument, values)]
    for value in ids:
        if "," in value:
            raise InvalidArgumentError(
                argument, f"{value!r} contains a comma, and the API separates ids by commas"
            )
    return ids


def _statuses(values: Sequence[FilterStatus]) -> str:
    statuses = _as_list("session_statuses", values)
    for status in statuses:
        if status not in FILTER_STATUSES:
            raise InvalidArgumentError(
                "session_statuses", f"{status!r} is not one of {', '.join(FILTER_STATUSES)}"
            )
    return ",".join(statuses)


def _as_list(argument: str, values: Iterable[str]) -> list[str]:
    """Return the values as a list. Their order must be the same after a restart."""
    if isinstance(values, str):
        raise InvalidArgumentError(argument, f"needs a list of strings, not the string {values!r}")
    if not isinstance(values, Sequence):
        raise InvalidArgumentError(
            argument,
            f"needs a list or tuple, because the order counts, not {type(values).__name__}",
        )
    if not values:
        raise InvalidArgumentError(argument, "is empty; omit it for no filter")
    return list(values)


def _id(argument: str, value: str) -> str:
    if not _string(argument, value).strip():
        raise InvalidArgumentError(argument, "an id is empty")
    _percent_encode(argument, value)
    return value


def _string(argument: str, value: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentError(argument, f"needs a string, not {type(value).__name__}")
    return value

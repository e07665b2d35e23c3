"""The parameters of a request, parsed from its query string."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import Self
from urllib.parse import parse_qsl

from .clock import EPOCH, MILLISECOND, to_ms
from .history import Version

STATUSES = frozenset({"upcoming", "completed", "deleted"})
"""The values of sessionStatuses; "unknown" is a status, but not a filter."""

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


class BadRequestError(Exception):
    """The request is invalid; the text is the message of the 400."""


class Parameters:
    """The parameters of one request, decoded; repeated ones are joined by commas."""

    def __init__(self, path: str, raw_query: str) -> None:
        self.path = path
        self.values: dict[str, str] = {}
        self.repeated = False
        for name, value in parse_qsl(raw_query, keep_blank_values=True):
            self.repeated |= name in self.values
            earlier = self.values.get(name)
            self.values[name] = value if earlier is None else f"{earlier},{value}"

    @property
    def after(self) -> str:
        """The cursor; empty for the first page, whether ``after`` is empty or absent.

        Both are documented: https://developers.samsara.com/docs/pagination.
        """
        return self.values.get("after", "")

    @cached_property
    def digest(self) -> str:
        """A digest of everything that a cursor is bound to, byte for byte.

        Samsara's sibling streams were observed to refuse a cursor when only the order of the ids
        in one parameter differed.
        """
        bound = sorted((n, v) for n, v in self.values.items() if n != "after")
        return blake2b(repr((self.path, bound)).encode(), digest_size=12).hexdigest()

    def flag(self, name: str) -> bool:
        """Return a boolean parameter; False when absent."""
        value = self.values.get(name) or "false"
        if value not in {"true", "false"}:
            raise BadRequestError("Invalid value for parameter.")
        return value == "true"

    def ids(self, name: str) -> frozenset[str] | None:
        """Return a set of ids; None, for no filter, when absent or empty."""
        value = self.values.get(name)
        return frozenset(value.split(",")) if value else None

    def time(self, name: str) -> datetime | None:
        """Return a time; None when absent."""
        value = self.values.get(name)
        if not value:
            return None
        # A "+" that was not escaped arrives as a space and is refused here, as it should be.
        if _RFC_3339.fullmatch(value):
            with suppress(ValueError):
                return datetime.fromisoformat(value.upper())
        raise BadRequestError("Invalid value for parameter.")


@dataclass(frozen=True, kw_only=True)
class SessionQuery:
    """A parsed request for sessions. Times are milliseconds, compared with updatedAtTime."""

    after: int
    """Sessions updated later than this, exclusive."""
    until: int | None
    """And no later than this, inclusive; None for an open-ended feed."""
    snapshot: int | None
    """startTime if it equals endTime: each session is returned as it was at that time."""
    drivers: frozenset[str] | None
    coaches: frozenset[str] | None
    statuses: frozenset[str] | None
    show_events: bool
    show_external_ids: bool

    @classmethod
    def parse(cls, parameters: Parameters, *, end_inclusive: bool) -> Self:
        """Parse the parameters, which are documented in Samsara's OpenAPI description."""
        start, end = parameters.time("startTime"), parameters.time("endTime")
        if start is None:
            raise BadRequestError('"startTime" is missing from query string')
        if end is not None and end < start:
            raise BadRequestError("Invalid value for parameter.")
        statuses = parameters.ids("sessionStatuses")
        if statuses is not None and not statuses <= STATUSES:
            raise BadRequestError("Invalid value for parameter.")
        is_snapshot = start == end
        until = _until(end, inclusive=end_inclusive or is_snapshot)
        return cls(
            after=-1 if is_snapshot else _last_ms_before(start),
            until=until,
            snapshot=until if is_snapshot else None,
            drivers=parameters.ids("driverIds"),
            coaches=parameters.ids("coachIds"),
            statuses=statuses,
            show_events=parameters.flag("includeCoachableEvents"),
            show_external_ids=parameters.flag("includeExternalIds"),
        )

    def matches(self, version: Version) -> bool:
        """Return whether a version passes the filters; coachIds match either kind of coach."""
        if version.updated <= self.after:
            return False
        if self.until is not None and version.updated > self.until:
            return False
        superseded = version.superseded
        if self.snapshot is not None and superseded is not None and superseded <= self.snapshot:
            return False
        if self.drivers is not None and version.session.driver_id not in self.drivers:
            return False
        if self.statuses is not None and version.state.status not in self.statuses:
            return False
        return self.coaches is None or not self.coaches.isdisjoint(
            {version.state.assigned_coach, version.state.completed_coach}
        )


def _last_ms_before(moment: datetime) -> int:
    return -((EPOCH - moment) // MILLISECOND) - 1


def _until(end: datetime | None, *, inclusive: bool) -> int | None:
    if end is None:
        return None
    return to_ms(end) if inclusive else _last_ms_before(end)

"""Turns error responses into errors, and reads the headers ``Retry-After`` and ``Date``."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from .. import errors
from ..errors import ApiError
from ..models import ErrorBody
from ..text import printable
from .lenient import DECODE_ERRORS

_error_body = msgspec.json.Decoder(ErrorBody)

_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    400: errors.BadRequestError,
    401: errors.UnauthorizedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    405: errors.MethodNotAllowedError,
    408: errors.RequestTimeoutError,
    413: errors.ContentTooLargeError,
    429: errors.RateLimitError,
    500: errors.InternalServerError,
    501: errors.NotImplementedApiError,
    502: errors.BadGatewayError,
    503: errors.ServiceUnavailableError,
    504: errors.GatewayTimeoutError,
}


def error_from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    route: str | None = None,
) -> ApiError:
    """Return the error for a response that is not a success.

    Its body is ``{message, requestId}``, but with a 5xx it may be plain text
    (https://developers.samsara.com/docs/response-codes).
    """
    try:
        parsed = _error_body.decode(body)
    except DECODE_ERRORS:
        parsed = ErrorBody(message=body.decode(errors="replace"), request_id="")
    return _error_class(status)(
        status,
        printable(parsed.message) or "no message",
        request_id=printable(headers.get("Request-Id") or parsed.request_id) or None,
        headers=headers,
        body=body,
        retry_after=retry_after(headers, now=now),
        route=route,
    )


def _error_class(status: int) -> type[ApiError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return errors.RedirectError
    return errors.ServerError if status >= 500 else ApiError


MAX_RETRY_AFTER = 86_400.0
"""Seconds; a longer ``Retry-After`` is capped at this. A server that names more than a day must be
wrong, and a client that waited for years would have stalled."""

_SECONDS = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*", re.ASCII)
_COMMA = re.compile(r",(?!\s*\d\d[ -][A-Za-z])")
"""Matches a comma, but not the one within an HTTP date."""


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds to wait, by ``Retry-After``; None if it is missing or invalid.

    Samsara sends fractions ("0.40235", https://developers.samsara.com/docs/rate-limits), HTTP
    allows whole seconds and dates. A date is compared with the response's own ``Date``, so that
    the clocks of the two machines need not agree. Of several values, the longest counts.
    """
    since = http_date(headers.get("Date", "")) or now
    named = ",".join(value for name, value in headers.items() if name.lower() == "retry-after")
    waits = [wait for value in _COMMA.split(named) if (wait := _wait(value, since)) is not None]
    return min(max(waits), MAX_RETRY_AFTER) if waits else None


def _wait(value: str, since: datetime) -> float | None:
    if seconds := _SECONDS.fullmatch(value):
        return float(seconds[1])
    until = http_date(value)
    return None if until is None else max(0.0, (until - since).total_seconds())


def http_date(value: str) -> datetime | None:
    """Return the time in a header's value; None if it is not a valid HTTP date."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

"""Answers that are no success, as errors; and the headers that say when to ask again. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from .. import errors
from ..errors import ApiError
from ..models import ErrorBody
from .lenient import UNREADABLE

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


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    route: str | None = None,
) -> ApiError:
    """Turn any answer but a 200 into its error.

    Bodies are ``{message, requestId}``, but 5xx ones may be plain text
    (https://developers.samsara.com/docs/response-codes).
    """
    try:
        told = _error_body.decode(body)
    except UNREADABLE:
        text = " ".join(body[:500].decode(errors="replace").split())
        told = ErrorBody(message=text or "no message", request_id="")
    return _error_class(status)(
        status,
        told.message,
        request_id=headers.get("Request-Id") or told.request_id or None,
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


LONGEST_WAIT = 86_400.0
"""Seconds a server is believed when it asks for patience: beyond a day it must be a mistake, and
whoever waited for years would have stalled."""

_SECONDS = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*", re.ASCII)


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return how many seconds the answer asks to wait; None if it does not, or not readably.

    Samsara sends fractions ("0.40235", https://developers.samsara.com/docs/rate-limits), HTTP
    allows whole seconds and dates. A date counts from the answer's own ``Date``, so that the two
    machines' clocks need not agree.
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    if seconds := _SECONDS.fullmatch(value):
        return min(float(seconds[1]), LONGEST_WAIT)
    until = http_date(value)
    if until is None:
        return None
    since = http_date(headers.get("Date", "")) or now
    return min(max(0.0, (until - since).total_seconds()), LONGEST_WAIT)


def http_date(value: str) -> datetime | None:
    """Return the moment a header names; None if it does so not readably."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

"""The base of all errors, and the errors that a response's status stands for."""

import copyreg
from collections.abc import Mapping
from typing import ClassVar

EXCERPT_BYTES = 4096
"""An error keeps at most this much of a response's body."""


class CoachStreamError(Exception):
    """Base class of all errors of this library.

    Attributes:
        transient: Whether the same request may succeed later, unchanged.
        retry_after: Seconds to wait at least before a retry; None if the server named no time.
        driver_id: The driver of the assignment that could not be changed or decoded.
        coach_id: The coach who was to be assigned; None also if the driver's coach was to be
            removed.
    """

    transient: ClassVar[bool] = False
    retry_after: float | None = None
    driver_id: str | None = None
    coach_id: str | None = None

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call __init__ with nothing but the message.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class ApiError(CoachStreamError):
    """The server responded with an error status; raised directly for one without a subclass.

    Attributes:
        status: The HTTP status.
        hint: What to check first.
        message: The server's text, for people: Samsara advises programs not to parse it.
        request_id: The id that Samsara's support asks for.
        headers: The headers of the response, not of the request.
        body: The first 4096 bytes of the response's body, JSON or not.
        route: Method and path of the request.
    """

    hint: ClassVar[str] = ""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        retry_after: float | None = None,
        route: str | None = None,
    ) -> None:
        wait = "" if retry_after is None else f"retry after {retry_after:g} s"
        notes = [self.hint, wait, f"request {request_id}" if request_id else ""]
        text = f"{route}: {status}: {message}" if route else f"{status}: {message}"
        super().__init__(text + "".join(f" ({note})" for note in notes if note))
        self.status = status
        self.message = message
        self.request_id = request_id
        self.headers: Mapping[str, str] = {} if headers is None else headers
        self.body = body[:EXCERPT_BYTES]
        self.retry_after = retry_after
        self.route = route


class RedirectError(ApiError):
    """3xx: redirects are not followed, so that the token is sent to no other server."""

    hint = "redirects are not followed; check base_url"


class BadRequestError(ApiError):
    """400: a parameter is wrong, or the cursor has expired or belongs to other parameters."""


class UnauthorizedError(ApiError):
    """401: the token is not valid."""

    hint = "check that the token belongs to this region"


class ForbiddenError(ApiError):
    """403: the token lacks a scope (Read Coaching, Write Coaching), or the account a licence."""

    hint = "check that the token has the scope Read Coaching or Write Coaching"


class NotFoundError(ApiError):
    """404: there is no such driver, coach or path."""

    hint = "check base_url and region, or the ids of driver and coach"


class MethodNotAllowedError(ApiError):
    """405: the path does not support this method."""


class RequestTimeoutError(ApiError):
    """408: the server stopped waiting for the request."""

    transient = True


class ContentTooLargeError(ApiError):
    """413: the request, or the requested data, is too large."""


class RateLimitError(ApiError):
    """429: too many requests from this organisation, including those of other programs."""

    transient = True


class ServerError(ApiError):
    """Any 5xx; raised directly for one without a subclass."""

    transient = True


class InternalServerError(ServerError):
    """500."""


class NotImplementedApiError(ServerError):
    """501; not transient, as a retry will not help."""

    transient = False


class BadGatewayError(ServerError):
    """502."""


class ServiceUnavailableError(ServerError):
    """503."""


class GatewayTimeoutError(ServerError):
    """504."""

"""All errors that this library raises.

CoachStreamError
|-- InvalidArgumentError       an argument can't be used (also a ValueError)
|-- ClosedError                the client or the stream is closed
|-- StreamInUseError           two tasks read one stream or list at the same time
|-- ApiError                   the server responded with an error status
|   |-- RedirectError            3xx; not followed, so that the token is sent to no other server
|   |-- BadRequestError 400, UnauthorizedError 401, ForbiddenError 403, NotFoundError 404,
|   |   MethodNotAllowedError 405, RequestTimeoutError 408, ContentTooLargeError 413,
|   |   RateLimitError 429
|   `-- ServerError              any 5xx
|       `-- InternalServerError 500, NotImplementedApiError 501, BadGatewayError 502,
|           ServiceUnavailableError 503, GatewayTimeoutError 504
|-- TransportError             no complete response was received
|   |-- ConnectError             no connection could be made
|   |-- ConnectionLostError      the connection broke before the response was complete
|   |-- AnswerTimeoutError       the response took too long
|   |-- TokenUnavailableError    the token provider failed
|   `-- PageTooLargeError        the response body is larger than ``max_page_bytes``
|-- UndecodableError           the response is not what the API documents
|   `-- MalformedAssignmentError   one assignment of a list can't be decoded
|-- MalformedSessionError      one session of a page can't be decoded
|-- CursorLoopError            the server repeats the same pages
|-- CursorExpiredError         the cursor has expired, and the stream does not resume without it
|-- QueryMismatchError         the checkpoint belongs to another query
|-- TooManyFailuresError       more sessions failed than ``failure_ratio`` allows
`-- CheckpointError            a checkpoint can't be read or written
    |-- StaleCheckpointError     another consumer has moved this checkpoint
    |   `-- SaveRolledBackError        your transaction was rolled back, and a save with it
    |-- CorruptCheckpointError   the stored checkpoint is damaged
    `-- NewerCheckpointError     a later version of this library wrote the stored checkpoint

Only ``transient`` errors are retried (https://developers.samsara.com/docs/response-codes).
"""

import copyreg
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from .text import printable

EXCERPT_BYTES = 4096
"""An error keeps at most this much of a response's body."""


class CoachStreamError(Exception):
    """Base class of all errors of this library."""

    transient: ClassVar[bool] = False
    """Whether the same request may succeed later, unchanged."""

    retry_after: float | None = None
    """Seconds to wait at least before a retry; None if the server named no time."""

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call __init__ with nothing but the message.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class InvalidArgumentError(CoachStreamError, ValueError):
    """An argument can't be used; ``argument`` names it, ``problem`` explains why."""

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"{argument}: {problem}")
        self.argument = argument
        self.problem = problem


class ClosedError(CoachStreamError):
    """The client or the stream is closed."""


class StreamInUseError(CoachStreamError):
    """Two tasks waited for the next item of one stream or list at the same time."""


class ApiError(CoachStreamError):
    """The server responded with an error status; raised directly for one without a subclass."""

    hint: ClassVar[str] = ""
    """What to check first."""

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
        notes = [self.hint, f"request {request_id}" if request_id else ""]
        text = f"{route}: {status}: {message}" if route else f"{status}: {message}"
        super().__init__(text + "".join(f" ({note})" for note in notes if note))
        self.status = status
        self.message = message
        """The server's text, for people: Samsara advises programs not to parse it."""
        self.request_id = request_id
        """The id that Samsara's support asks for."""
        self.headers: Mapping[str, str] = {} if headers is None else headers
        """The headers of the response, not of the request."""
        self.body = body[:EXCERPT_BYTES]
        """The first 4096 bytes of the response's body, JSON or not."""
        self.retry_after = retry_after
        self.route = route
        """Method and path of the request."""


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


class TransportError(CoachStreamError):
    """No complete response was received."""

    transient = True


class ConnectError(TransportError):
    """No connection could be made: wrong address, network failure or bad certificate."""


class ConnectionLostError(TransportError):
    """The connection broke before the response was complete."""


class AnswerTimeoutError(TransportError):
    """No complete response arrived within the time-out."""


class TokenUnavailableError(TransportError):
    """The token provider failed, so no request was sent; its failure is the cause."""


class PageTooLargeError(TransportError):
    """The response's body, decompressed, exceeds ``max_page_bytes``; the rest was not read."""

    transient = False


class UndecodableError(CoachStreamError):
    """A complete response was received, but it is not what the API documents."""

    transient = True  # a proxy's HTML page or garbled JSON is usually gone at the next try

    def __init__(self, problem: str, *, body: bytes = b"") -> None:
        super().__init__(problem)
        self.body = body[:EXCERPT_BYTES]
        """The first 4096 bytes of the response's body."""


class MalformedAssignmentError(UndecodableError):
    """One assignment of a list, its ``body``, can't be decoded; the others are not affected."""

    transient = False


class MalformedSessionError(CoachStreamError):
    """One session of a page can't be decoded; the other sessions of the page are not affected."""

    def __init__(
        self,
        problem: str,
        *,
        raw: bytes,
        session_id: str | None = None,
        updated_at_time: datetime | None = None,
    ) -> None:
        super().__init__(f"session {printable(session_id or '(no id)', 100)}: {printable(problem)}")
        self.problem = problem
        self.raw = raw
        """The session's own JSON, complete."""
        self.session_id = session_id
        """Its ``id``, if that can be decoded."""
        self.updated_at_time = updated_at_time
        """Its ``updatedAtTime``, if that can be decoded."""


class CursorLoopError(CoachStreamError):
    """The server repeats the same pages and reports more, so reading would never end."""


class CursorExpiredError(CoachStreamError):
    """The cursor is dead (expired or refused), and the stream does not resume without it.

    Either ``on_expired="raise"`` was given, or more than three cursors died within a day.
    """


class QueryMismatchError(CoachStreamError):
    """The checkpoint was saved for other filters or a later start, so it can't be used here."""

    def __init__(self, name: str, *, stored: str, asked: str) -> None:
        super().__init__(
            f"checkpoint {name!r} belongs to the query {stored!r}, not to {asked!r}; "
            "use another name, or the same filters and no earlier start"
        )
        self.stored = stored
        """The query string of the checkpoint."""
        self.asked = asked
        """The query string of this call."""


class TooManyFailuresError(CoachStreamError):
    """More than ``failure_ratio`` of the last 50 sessions failed; the cause is the last failure."""


class CheckpointError(CoachStreamError):
    """A checkpoint can't be read or written."""


class StaleCheckpointError(CheckpointError):
    """Another consumer with the same name has moved the checkpoint since it was read."""


class SaveRolledBackError(StaleCheckpointError):
    """Your transaction was rolled back, and a save with it. Start a new stream from the store."""


class CorruptCheckpointError(CheckpointError):
    """The stored checkpoint is damaged. It was not changed; the message explains what to do."""


class NewerCheckpointError(CheckpointError):
    """A later version of this library wrote the stored checkpoint. It was not changed."""

"""Everything this library raises.

CoachStreamError
|-- InvalidArgumentError       what you passed can't be used (also a ValueError)
|-- ClosedError                the client or stream was closed, and asked again
|-- StreamInUseError           one stream was read from two tasks at once
|-- ApiError                   the server answered, and the answer was no
|   |-- RedirectError            3xx; never followed, the token goes nowhere else
|   |-- BadRequestError          400
|   |-- UnauthorizedError        401
|   |-- ForbiddenError           403
|   |-- NotFoundError            404
|   |-- MethodNotAllowedError    405
|   |-- RequestTimeoutError      408
|   |-- ContentTooLargeError     413
|   |-- RateLimitError           429
|   `-- ServerError              any 5xx
|       |-- InternalServerError    500
|       |-- NotImplementedApiError 501
|       |-- BadGatewayError        502
|       |-- ServiceUnavailableError 503
|       `-- GatewayTimeoutError    504
|-- TransportError             no whole answer came back
|   |-- ConnectError             no connection could be made
|   |-- ConnectionLostError      it broke before the answer was whole
|   |-- AnswerTimeoutError       it took too long
|   |-- TokenUnavailableError    the token provider's own network failed
|   `-- PageTooLargeError        the body outgrew ``max_page_bytes``
|-- UndecodableError           an answer came that the API does not promise
|-- MalformedSessionError      one session of a page can't be read
|-- CursorLoopError            the server sends us in circles
|-- CursorExpiredError         the cursor is dead, and you asked not to go on, or it is too often
|-- QueryMismatchError         the checkpoint belongs to another query
|-- TooManyFailuresError       so many sessions failed that something else must be wrong
`-- CheckpointError            a store can't be used as it is
    |-- StaleCheckpointError     someone else moved this checkpoint
    |   `-- SaveUndoneError        a transaction of yours was taken back, and a save with it
    |-- CorruptCheckpointError   what is stored is damaged
    `-- NewerCheckpointError     what is stored was written by a later version of this library

``transient`` says whether the same request may succeed later, unchanged; the retry policy asks
nothing else. Which statuses are, follows https://developers.samsara.com/docs/response-codes.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

EXCERPT_BYTES = 4096
"""How much of a refusing answer's body an error keeps."""


class CoachStreamError(Exception):
    """Root of the tree above; catch this to catch us."""

    transient: ClassVar[bool] = False
    """Whether the same request may succeed later, unchanged."""

    retry_after: float | None = None
    """Seconds the server asked us to wait at least, when it did."""

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are rebuilt from their message alone; ours carry more than that.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(
    kind: type[CoachStreamError], args: tuple[object, ...], state: dict[str, object]
) -> CoachStreamError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InvalidArgumentError(CoachStreamError, ValueError):
    """An argument can't be used; ``argument`` names it."""

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"{argument}: {problem}")
        self.argument = argument
        self.problem = problem


class ClosedError(CoachStreamError):
    """The client or the stream has been closed."""


class StreamInUseError(CoachStreamError):
    """Two tasks asked one stream for its next session at the same time."""


class ApiError(CoachStreamError):
    """The server answered, and the answer was no.

    Raised as itself for a status the API does not document.
    """

    hint: ClassVar[str] = ""
    """What to look at first."""

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
        parts = [f"{route}: " if route else "", f"{status}: {message}"]
        parts += [f" ({self.hint})" if self.hint else ""]
        parts += [f" (request {request_id})" if request_id else ""]
        super().__init__("".join(parts))
        self.status = status
        self.message = message
        """The server's words; documented as not fit for programs to read."""
        self.request_id = request_id
        """What Samsara's support asks for."""
        self.headers: Mapping[str, str] = {} if headers is None else headers
        """The answer's headers, never the request's."""
        self.body = body[:EXCERPT_BYTES]
        """The first kilobytes of the answer, JSON or not."""
        self.retry_after = retry_after
        self.route = route
        """Method and path of the request."""


class RedirectError(ApiError):
    """3xx: redirects are refused, so that the token is sent to no other place."""

    hint = "redirects are not followed; is base_url right?"


class BadRequestError(ApiError):
    """400: the parameters are wrong, or the cursor has expired or belongs to other parameters."""


class UnauthorizedError(ApiError):
    """401: the token is not valid."""

    hint = "is it a token of this region?"


class ForbiddenError(ApiError):
    """403: the token lacks a scope (Read Coaching, Write Coaching) or the account a licence."""

    hint = "does the token have the scope, Read Coaching or Write Coaching?"


class NotFoundError(ApiError):
    """404: no such driver, coach or path."""


class MethodNotAllowedError(ApiError):
    """405: the path does not take this method."""


class RequestTimeoutError(ApiError):
    """408: the server stopped waiting for the request."""

    transient = True


class ContentTooLargeError(ApiError):
    """413: the request, or what it asks for, is too large."""


class RateLimitError(ApiError):
    """429: too many requests from this organisation, whoever sent them."""

    transient = True


class ServerError(ApiError):
    """Any 5xx; raised as itself for one the API does not document."""

    transient = True


class InternalServerError(ServerError):
    """500."""


class NotImplementedApiError(ServerError):
    """501: asking again will not help."""

    transient = False


class BadGatewayError(ServerError):
    """502."""


class ServiceUnavailableError(ServerError):
    """503."""


class GatewayTimeoutError(ServerError):
    """504."""


class TransportError(CoachStreamError):
    """No whole answer came back."""

    transient = True


class ConnectError(TransportError):
    """No connection could be made: address, network or certificate."""


class ConnectionLostError(TransportError):
    """The connection broke before the answer was whole."""


class AnswerTimeoutError(TransportError):
    """No whole answer within the time-out."""


class TokenUnavailableError(TransportError):
    """The token provider failed with a network error, so nothing could be asked."""


class PageTooLargeError(TransportError):
    """The body, decompressed, was larger than ``max_page_bytes``; the rest was not read."""

    transient = False


class UndecodableError(CoachStreamError):
    """A whole answer came, but not one the API promises.

    Asked again as if transient: a proxy's HTML page or garbled JSON is usually gone next time.
    """

    transient = True

    def __init__(self, problem: str, *, body: bytes = b"") -> None:
        super().__init__(problem)
        self.body = body[:EXCERPT_BYTES]
        """The first kilobytes of what came."""


class MalformedSessionError(CoachStreamError):
    """One session of a page can't be read; the other sessions of the page can."""

    def __init__(
        self,
        problem: str,
        *,
        raw: bytes,
        session_id: str | None = None,
        updated_at_time: datetime | None = None,
    ) -> None:
        super().__init__(f"session {session_id or '(no id)'}: {problem}")
        self.problem = problem
        self.raw = raw
        """The session's own JSON, whole."""
        self.session_id = session_id
        """Its ``id``, if that much can be read."""
        self.updated_at_time = updated_at_time
        """Its ``updatedAtTime``, if that much can be read."""


class CursorLoopError(CoachStreamError):
    """The server answers the same pages again and says there are more.

    A stream does not go on by itself: it would read the same sessions for ever.
    """


class CursorExpiredError(CoachStreamError):
    """The cursor has died, and the stream was told not to go on, or it has died too often."""


class QueryMismatchError(CoachStreamError):
    """The checkpoint was made for other filters, so its place means nothing for these.

    Use another ``name``, or the stored filters. ``stored`` and ``asked`` are the two queries.
    """

    def __init__(self, name: str, *, stored: str, asked: str) -> None:
        super().__init__(
            f"checkpoint {name!r} belongs to the query {stored!r}, not to {asked!r}; "
            "use another name, or the same filters and no earlier start"
        )
        self.stored = stored
        self.asked = asked


class TooManyFailuresError(CoachStreamError):
    """So many sessions in a row failed that skipping or parking them would empty the feed.

    Its cause is the last failure.
    """


class CheckpointError(CoachStreamError):
    """A checkpoint can't be read or written."""


class StaleCheckpointError(CheckpointError):
    """Someone else has moved this checkpoint since it was read: two consumers share one name."""


class SaveUndoneError(StaleCheckpointError):
    """A transaction with a save in it was taken back; what is kept is the truth, so begin anew."""


class CorruptCheckpointError(CheckpointError):
    """What is stored is damaged. Nothing was changed; the message says what can be done."""


class NewerCheckpointError(CheckpointError):
    """What is stored was written by a later version of this library. Nothing was changed."""

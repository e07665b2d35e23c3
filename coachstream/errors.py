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
|   |   `-- UntrustedCertificateError  the server's certificate is not trusted
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
|-- CorruptLedgerError         lines of a ledger are damaged
|-- TooManyFailuresError       more sessions failed than ``failure_ratio`` allows
`-- CheckpointError            a checkpoint can't be read or written
    |-- StoreError               the store failed; the cause is what its driver raised
    |   `-- StoreRefusedError      waiting does not help: no permission, wrong password, ...
    |-- StaleCheckpointError     another consumer has moved this checkpoint
    |   `-- SaveRolledBackError        your transaction was rolled back, and a save with it
    |-- CorruptCheckpointError   the stored checkpoint is damaged
    `-- NewerCheckpointError     a later version of this library wrote the stored checkpoint

Only ``transient`` errors are retried (https://developers.samsara.com/docs/response-codes).
"""

from datetime import datetime

from .api_errors import EXCERPT_BYTES
from .api_errors import ApiError as ApiError  # noqa: PLC0414  # public here
from .api_errors import BadGatewayError as BadGatewayError  # noqa: PLC0414  # public here
from .api_errors import BadRequestError as BadRequestError  # noqa: PLC0414  # public here
from .api_errors import CoachStreamError as CoachStreamError  # noqa: PLC0414  # public here
from .api_errors import ContentTooLargeError as ContentTooLargeError  # noqa: PLC0414  # public here
from .api_errors import ForbiddenError as ForbiddenError  # noqa: PLC0414  # public here
from .api_errors import GatewayTimeoutError as GatewayTimeoutError  # noqa: PLC0414  # public here
from .api_errors import InternalServerError as InternalServerError  # noqa: PLC0414  # public here
from .api_errors import MethodNotAllowedError as MethodNotAllowedError  # noqa: PLC0414  # public here
from .api_errors import NotFoundError as NotFoundError  # noqa: PLC0414  # public here
from .api_errors import NotImplementedApiError as NotImplementedApiError  # noqa: PLC0414  # public here
from .api_errors import RateLimitError as RateLimitError  # noqa: PLC0414  # public here
from .api_errors import RedirectError as RedirectError  # noqa: PLC0414  # public here
from .api_errors import RequestTimeoutError as RequestTimeoutError  # noqa: PLC0414  # public here
from .api_errors import ServerError as ServerError  # noqa: PLC0414  # public here
from .api_errors import ServiceUnavailableError as ServiceUnavailableError  # noqa: PLC0414  # public here
from .api_errors import UnauthorizedError as UnauthorizedError  # noqa: PLC0414  # public here
from .text import printable


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


class TransportError(CoachStreamError):
    """No complete response was received."""

    transient = True


class ConnectError(TransportError):
    """No connection could be made: wrong address, network failure, or a proxy that refuses."""


class UntrustedCertificateError(ConnectError):
    """The server's certificate is not trusted: a proxy's, an expired one, or another server's."""


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
    """A complete response was received, but it is not what the API documents.

    Attributes:
        body: The first 4096 bytes of the response's body.
    """

    transient = True  # a proxy's HTML page or garbled JSON is usually gone at the next try

    def __init__(self, problem: str, *, body: bytes = b"") -> None:
        super().__init__(problem)
        self.body = body[:EXCERPT_BYTES]


class MalformedAssignmentError(UndecodableError):
    """One assignment of a list can't be decoded; the others are not affected.

    Attributes:
        raw: The assignment's own JSON, complete.
    """

    transient = False

    def __init__(self, problem: str, *, raw: bytes, driver_id: str | None = None) -> None:
        whose = printable(driver_id or "(no id)", 100)
        super().__init__(f"assignment of driver {whose}: {printable(problem)}", body=raw)
        self.problem = problem
        self.raw = raw
        self.driver_id = driver_id  # if that can be decoded


class MalformedSessionError(CoachStreamError):
    """One session of a page can't be decoded; the other sessions of the page are not affected.

    Attributes:
        raw: The session's own JSON, complete.
        session_id: Its ``id``, if that can be decoded.
        updated_at_time: Its ``updatedAtTime``, if that can be decoded.
    """

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
        self.session_id = session_id
        self.updated_at_time = updated_at_time


class CursorLoopError(CoachStreamError):
    """The server repeats the same pages and reports more, so reading would never end."""


class CursorExpiredError(CoachStreamError):
    """The cursor is dead (expired or refused), and the stream does not resume without it.

    Either ``on_expired="raise"`` was given, or more than three cursors died within a day.
    """


class QueryMismatchError(CoachStreamError):
    """The checkpoint was saved for other filters or a later start, so it can't be used here.

    Attributes:
        stored: The query string of the checkpoint.
        asked: The query string of this call.
    """

    def __init__(self, name: str, *, stored: str, asked: str) -> None:
        super().__init__(
            f"checkpoint {name!r} belongs to the query {stored!r}, not to {asked!r}; "
            "use another name, or the same filters and no earlier start"
        )
        self.stored = stored
        self.asked = asked


class CorruptLedgerError(CoachStreamError):
    """Lines of a ledger are damaged. The file was not changed; the message names the lines."""


class TooManyFailuresError(CoachStreamError):
    """More than ``failure_ratio`` of the last 50 sessions failed; the cause is the last failure."""


class CheckpointError(CoachStreamError):
    """A checkpoint can't be read or written."""


class StoreError(CheckpointError):
    """A store failed. The message names it and says what to do; the cause is its driver's error."""

    transient = True


class StoreRefusedError(StoreError):
    """A store can't be used as it is: no permission, a wrong password, a missing directory."""

    transient = False


class StaleCheckpointError(CheckpointError):
    """Another consumer with the same name has moved the checkpoint since it was read."""


class SaveRolledBackError(StaleCheckpointError):
    """Your transaction was rolled back, and a save with it. Start a new stream from the store."""


class CorruptCheckpointError(CheckpointError):
    """The stored checkpoint is damaged. It was not changed; the message explains what to do."""


class NewerCheckpointError(CheckpointError):
    """A later version of this library wrote the stored checkpoint. It was not changed."""


def __dir__() -> list[str]:
    return [name for name in globals() if name.endswith("Error")]

"""Follow Samsara's coaching feed for months: an asyncio client that never loses a session."""

from ._version import __version__
from .assignments.endpoint import Assignments
from .client import Client
from .clock import Clock, SystemClock
from .consumer.consume import consume
from .consumer.failures import OnFailure, Retry
from .consumer.file_ledger import FileLedger
from .consumer.ledger import FailedSession, Handler, Ledger, MemoryLedger
from .consumer.replay import Replay, replay
from .consumer.report import Report
from .enumerations import FilterStatus
from .errors import (
    AnswerTimeoutError,
    ApiError,
    BadGatewayError,
    BadRequestError,
    CheckpointError,
    ClosedError,
    CoachStreamError,
    ConnectError,
    ConnectionLostError,
    ContentTooLargeError,
    CorruptCheckpointError,
    CorruptLedgerError,
    CursorExpiredError,
    CursorLoopError,
    ForbiddenError,
    GatewayTimeoutError,
    InternalServerError,
    InvalidArgumentError,
    MalformedAssignmentError,
    MalformedSessionError,
    MethodNotAllowedError,
    NewerCheckpointError,
    NotFoundError,
    NotImplementedApiError,
    PageTooLargeError,
    QueryMismatchError,
    RateLimitError,
    RedirectError,
    RequestTimeoutError,
    SaveRolledBackError,
    ServerError,
    ServiceUnavailableError,
    StaleCheckpointError,
    StoreError,
    StoreRefusedError,
    StreamInUseError,
    TokenUnavailableError,
    TooManyFailuresError,
    TransportError,
    UnauthorizedError,
    UndecodableError,
    UntrustedCertificateError,
)
from .feed.health import Health, StreamState
from .http.address import Region
from .http.credentials import TokenProvider
from .http.rate_limit import RateLimits
from .models import (
    Behavior,
    BehaviorType,
    CoachableEvent,
    CoachAssignment,
    CoachingSession,
    CoachingType,
    Driver,
    EventLinkage,
    EventSourceType,
    Position,
    SessionStatus,
)
from .retry import RetryPolicy
from .sessions.endpoint import Sessions
from .sessions.stream import SessionStream
from .telemetry import Event, Observer
from .wire.pages import Page

__all__ = [
    "AnswerTimeoutError",
    "ApiError",
    "Assignments",
    "BadGatewayError",
    "BadRequestError",
    "Behavior",
    "BehaviorType",
    "CheckpointError",
    "Client",
    "Clock",
    "ClosedError",
    "CoachAssignment",
    "CoachStreamError",
    "CoachableEvent",
    "CoachingSession",
    "CoachingType",
    "ConnectError",
    "ConnectionLostError",
    "ContentTooLargeError",
    "CorruptCheckpointError",
    "CorruptLedgerError",
    "CursorExpiredError",
    "CursorLoopError",
    "Driver",
    "Event",
    "EventLinkage",
    "EventSourceType",
    "FailedSession",
    "FileLedger",
    "FilterStatus",
    "ForbiddenError",
    "GatewayTimeoutError",
    "Handler",
    "Health",
    "InternalServerError",
    "InvalidArgumentError",
    "Ledger",
    "MalformedAssignmentError",
    "MalformedSessionError",
    "MemoryLedger",
    "MethodNotAllowedError",
    "NewerCheckpointError",
    "NotFoundError",
    "NotImplementedApiError",
    "Observer",
    "OnFailure",
    "Page",
    "PageTooLargeError",
    "Position",
    "QueryMismatchError",
    "RateLimitError",
    "RateLimits",
    "RedirectError",
    "Region",
    "Replay",
    "Report",
    "RequestTimeoutError",
    "Retry",
    "RetryPolicy",
    "SaveRolledBackError",
    "ServerError",
    "ServiceUnavailableError",
    "SessionStatus",
    "SessionStream",
    "Sessions",
    "StaleCheckpointError",
    "StoreError",
    "StoreRefusedError",
    "StreamInUseError",
    "StreamState",
    "SystemClock",
    "TokenProvider",
    "TokenUnavailableError",
    "TooManyFailuresError",
    "TransportError",
    "UnauthorizedError",
    "UndecodableError",
    "UntrustedCertificateError",
    "__version__",
    "consume",
    "replay",
]


def __dir__() -> list[str]:
    """Return what an editor or a shell offers: the names above, and few of the many errors.

    They are all in ``coachstream.errors``, which is offered, too.
    """
    some = {"ApiError", "CoachStreamError", "InvalidArgumentError"}
    names = (name for name in __all__ if name in some or not name.endswith("Error"))
    return sorted({*names, "checkpoints", "errors", "telemetry"})

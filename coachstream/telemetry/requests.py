"""Events of requests: sent, answered, refused, and held back."""

from ..errors import CoachStreamError
from ..event import Event


class RequestStarted(Event, frozen=True, kw_only=True):
    """A request is about to be sent."""

    route: str
    """Method and path."""
    attempt: int
    """1 for the first try."""


class RequestFinished(Event, frozen=True, kw_only=True):
    """A complete response was received, with any status."""

    route: str
    """Method and path."""
    attempt: int
    """1 for the first try."""
    status: int
    seconds: float
    """From sending the request to the last byte of the response."""
    size: int
    """Bytes of the body, decompressed."""
    request_id: str | None
    """The id that Samsara's support asks for."""
    from_cache: bool = False
    """Whether it had been stored in a cache, so that it need not be the server's latest."""


class CacheNoticed(Event, frozen=True, kw_only=True):
    """Responses come from a cache from now on: a stream may never see anything new.

    The cache is the aiohttp session given as ``http``, or a proxy on the way.
    """

    route: str
    """Method and path."""


class RetryScheduled(Event, frozen=True, kw_only=True):
    """A try failed; the next one follows in ``delay`` seconds."""

    route: str
    """Method and path."""
    attempt: int
    """The try that failed; 1 for the first."""
    delay: float
    error: CoachStreamError


class LimitLowered(Event, frozen=True, kw_only=True):
    """A 429 was received: all requests wait ``delay`` seconds, then go on at a lower rate."""

    route: str
    """Method and path of the request that got the 429."""
    delay: float
    pace: float
    """The share of the full rate that is now used. It slowly rises back to 1."""


class Throttled(Event, frozen=True, kw_only=True):
    """A request waits ``delay`` seconds at the rate limiter, because of an earlier 429."""

    route: str
    """Method and path."""
    delay: float


class TokenRenewed(Event, frozen=True, kw_only=True):
    """After a 401, the token provider was called again and returned another token."""


class TokenTrimmed(Event, frozen=True, kw_only=True):
    """The token ended with a line break, which was left out."""

    source: str
    """Where the token is from, such as ``SAMSARA_API_TOKEN``."""


class PlainHttp(Event, frozen=True, kw_only=True):
    """A client was made with ``allow_http=True`` whose token leaves this machine in clear."""

    host: str
    """The server's."""

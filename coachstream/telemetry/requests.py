"""Events of requests: sent, answered, refused, and held back."""

from ..errors import CoachStreamError
from ..event import Event


class RequestStarted(Event, frozen=True, kw_only=True):
    """A request is about to be sent.

    Attributes:
        route: Method and path.
        attempt: 1 for the first try.
    """

    route: str
    attempt: int


class RequestFinished(Event, frozen=True, kw_only=True):
    """A complete response was received, with any status.

    Attributes:
        route: Method and path.
        attempt: 1 for the first try.
        seconds: From sending the request to the last byte of the response.
        size: Bytes of the body, decompressed.
        request_id: The id that Samsara's support asks for.
        from_cache: Whether it had been stored in a cache, so that it need not be the server's
            latest.
    """

    route: str
    attempt: int
    status: int
    seconds: float
    size: int
    request_id: str | None
    from_cache: bool = False


class CacheNoticed(Event, frozen=True, kw_only=True):
    """Responses come from a cache from now on: a stream may never see anything new.

    The cache is the aiohttp session given as ``http``, or a proxy on the way.

    Attributes:
        route: Method and path.
    """

    route: str


class RetryScheduled(Event, frozen=True, kw_only=True):
    """A try failed; the next one follows in ``delay`` seconds.

    Attributes:
        route: Method and path.
        attempt: The try that failed; 1 for the first.
    """

    route: str
    attempt: int
    delay: float
    error: CoachStreamError


class LimitLowered(Event, frozen=True, kw_only=True):
    """A 429 was received: all requests wait ``delay`` seconds, then go on at a lower rate.

    Attributes:
        route: Method and path of the request that got the 429.
        pace: The share of the full rate that is now used. It slowly rises back to 1.
    """

    route: str
    delay: float
    pace: float


class Throttled(Event, frozen=True, kw_only=True):
    """A request waits ``delay`` seconds at the rate limiter, because of an earlier 429.

    Attributes:
        route: Method and path.
    """

    route: str
    delay: float


class TokenRenewed(Event, frozen=True, kw_only=True):
    """After a 401, the token provider was called again and returned another token."""


class TokenTrimmed(Event, frozen=True, kw_only=True):
    """The token ended with a line break, which was left out.

    Attributes:
        source: Where the token is from, such as ``SAMSARA_API_TOKEN``.
    """

    source: str


class PlainHttp(Event, frozen=True, kw_only=True):
    """A client was made with ``allow_http=True`` whose token leaves this machine in clear.

    Attributes:
        host: The server's.
    """

    host: str

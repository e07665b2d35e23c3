"""The rim to the network: one request at a time, paced, timed, retried and told of.

The only module that imports aiohttp's client. The token is here and nowhere above.
"""

import itertools
import platform
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from . import wire
from ._version import __version__
from .clock import Clock
from .credentials import Credentials, Secret
from .errors import (
    AnswerTimeoutError,
    ApiError,
    ClosedError,
    CoachStreamError,
    ConnectError,
    ConnectionLostError,
    PageTooLargeError,
    RateLimitError,
    TokenUnavailableError,
    TransportError,
    UnauthorizedError,
    UndecodableError,
)
from .ratelimit import Limit
from .retry import Patience, RetryPolicy
from .telemetry import (
    LimitLowered,
    Observer,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    Throttled,
    TokenRenewed,
)

T = TypeVar("T")

TIMEOUT = 100.0
"""Seconds for a whole answer; the server's own limit is 90
(https://developers.samsara.com/docs/response-codes), and giving up earlier asks twice."""
CONNECT_TIMEOUT = 10.0
"""Seconds to make a connection."""
MAX_PAGE_BYTES = 64 * 1024 * 1024
"""The largest body, decompressed, that is read."""
_REFUSAL_BYTES = 64 * 1024
"""How much of a refusal's body is read."""

USER_AGENT = (
    f"coachstream/{__version__} aiohttp/{aiohttp.__version__} Python/{platform.python_version()}"
)


@dataclass(frozen=True, slots=True)
class _Request:
    """What stays the same from try to try."""

    method: str
    path: str
    url: URL
    limit: Limit
    observe: Observer

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, repr=False)
class _Answer:
    """What came back. It shows nothing of itself: who knows what a proxy has put in."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Transport:
    """Carries requests to one server, and answers back."""

    def __init__(
        self,
        *,
        url: URL,
        credentials: Credentials,
        http: aiohttp.ClientSession | None,
        retry: RetryPolicy,
        clock: Clock,
        random: Random,
        observer: Observer,
        api_version: str | None,
        timeout: float,
        max_page_bytes: int,
    ) -> None:
        self.url = str(url).rstrip("/")
        """What paths are appended to."""
        self._credentials = credentials
        self._http = http
        self._owns_http = http is None
        self._closed = False
        self._retry = retry
        self._clock = clock
        self._random = random
        self._observe = observer
        self.timeout = timeout
        """Seconds one request may take at most."""
        self._timeout = aiohttp.ClientTimeout(
            total=timeout, sock_connect=min(CONNECT_TIMEOUT, timeout)
        )
        self._max_page_bytes = max_page_bytes
        self._headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if api_version is not None:
            self._headers["X-Samsara-Version"] = api_version

    async def call(
        self,
        method: str,
        path: str,
        query: str,
        *,
        limit: Limit,
        patience: Patience,
        read: Callable[[bytes], T],
        observer: Observer | None = None,
        last_good: float | None = None,
    ) -> T:
        """Return what ``read`` makes of the answer's body, trying again while there is patience.

        ``last_good`` is when the caller last had a good answer; by default, now.

        Raises:
            CoachStreamError: what finally stood in the way.
        """
        url = URL(f"{self.url}{path}?{query}" if query else f"{self.url}{path}", encoded=True)
        request = _Request(method, path, url, limit, observer or self._observe)
        failing_since = self._clock.monotonic() if last_good is None else last_good
        for attempt in itertools.count(1):
            try:
                return await self._authorized(request, attempt, read)
            except CoachStreamError as error:
                delay = self._retry.delay(attempt, error, self._random)
                failing_for = self._clock.monotonic() + delay - failing_since
                if not error.transient or patience.is_over(
                    attempt=attempt, failing_for=failing_for
                ):
                    raise
                await self._wait(request, attempt, error, delay)
        raise AssertionError("counting never ends")

    async def _wait(
        self, request: "_Request", attempt: int, error: CoachStreamError, delay: float
    ) -> None:
        limit, route = request.limit, request.route
        request.observe(RetryScheduled(route=route, attempt=attempt, delay=delay, error=error))
        if isinstance(error, RateLimitError):
            # One was told to wait, so all wait: at the limit's gate, the next turn.
            limit.hold(delay, self._clock)
            request.observe(LimitLowered(route=route, delay=delay, pace=limit.pace))
        else:
            await self._clock.sleep(delay)

    async def _authorized(self, request: "_Request", attempt: int, read: Callable[[bytes], T]) -> T:
        """Send once; after a 401 once more, if the token provider has another token."""
        token = await self._token(self._credentials.token())
        try:
            return await self._paced(request, attempt, token, read)
        except UnauthorizedError:
            if not await self._token(self._credentials.renewed(token)):
                raise
        request.observe(TokenRenewed())
        return await self._paced(request, attempt, await self._credentials.token(), read)

    async def _token(self, asking: Awaitable[T]) -> T:
        """Wait for the token provider, whose network may fail as ours may."""
        try:
            return await asking
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TokenUnavailableError(f"the token provider failed: {error!r}") from error

    async def _paced(
        self, request: "_Request", attempt: int, token: Secret, read: Callable[[bytes], T]
    ) -> T:
        limit = request.limit
        if (held := limit.held_for(self._clock)) > 0:
            request.observe(Throttled(route=request.route, delay=held))
        await limit.turn(self._clock)
        request.observe(RequestStarted(route=request.route, attempt=attempt))
        left_at = self._clock.monotonic()
        answer = await self._once(request, attempt, token)
        failure: CoachStreamError
        if answer.good:
            try:
                return read(answer.body)
            except UndecodableError as error:
                failure = UndecodableError(str(error), body=_without(token, error.body))
        else:
            failure = _refusal(answer, token, now=self._clock.now())
            if isinstance(failure, RateLimitError):
                limit.slow_down(left_at, self._clock)
        # Raised here, apart from what it was made of: a proxy's page may repeat the request, token
        # and all, and so would the variables of the frames that read it.
        raise failure

    async def aclose(self) -> None:
        """Close what we opened; a session that was given to us stays open."""
        self._closed = True
        if self._owns_http and self._http is not None:
            await self._http.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ClosedError("the client is closed")
        if self._http is None:
            self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._http

    async def _once(self, request: "_Request", attempt: int, token: Secret) -> "_Answer":
        """Return what came back, or raise what kept it from coming whole."""
        session = self._session()
        headers = {**self._headers, "Authorization": Secret(f"Bearer {token}")}
        if not session.auto_decompress:
            headers["Accept-Encoding"] = "identity"
        began = self._clock.monotonic()
        try:
            async with session.request(
                request.method,
                request.url,
                headers=headers,
                allow_redirects=False,
                raise_for_status=False,
                timeout=self._timeout,
                middlewares=(*session._middlewares, _no_second_try),  # noqa: SLF001  # see there
            ) as response:
                good = 200 <= response.status < 300
                body = await (self._whole(response) if good else _excerpt(response))
                answer = _Answer(response.status, response.headers, body)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            failure = _translated(error)
        else:
            request.observe(
                RequestFinished(
                    route=request.route,
                    attempt=attempt,
                    status=answer.status,
                    seconds=self._clock.monotonic() - began,
                    size=len(body),
                    request_id=answer.headers.get("Request-Id"),
                )
            )
            return answer
        # Raised here, not above: aiohttp's errors hold the request's headers, so ours must not
        # lead to them, neither as cause nor as context.
        raise failure

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        bound = self._max_page_bytes
        chunks, size = [], response.content_length or 0
        if size <= bound:
            size = 0
            async for chunk in response.content.iter_any():
                chunks.append(chunk)
                size += len(chunk)
                if size > bound:
                    break
            else:
                return b"".join(chunks)
        response.close()
        raise PageTooLargeError(f"the answer's body has more than {bound} bytes")


async def _no_second_try(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from asking again by itself when a kept-alive connection proves dead.

    Its second request would leave without a turn at the limit and without a word to telemetry.
    aiohttp repeats on errors of its own, so it is told of one of ours. A middleware given with a
    request replaces the session's own, which is why these are passed on: there is no public name
    for them.
    """
    failure: TransportError
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        failure = _translated(error)
    raise failure


async def _excerpt(response: aiohttp.ClientResponse) -> bytes:
    """Return the start of a refusal's body. Its status counts even if the rest never comes."""
    body = bytearray()
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > _REFUSAL_BYTES:
                response.close()
                break
    except (aiohttp.ClientError, OSError, TimeoutError):
        response.close()
    return bytes(body[:_REFUSAL_BYTES])


def _translated(error: Exception) -> TransportError:
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ConnectError(words)
    if isinstance(error, TimeoutError):
        return AnswerTimeoutError(words)
    return ConnectionLostError(words)


def _refusal(answer: _Answer, token: Secret, *, now: datetime) -> ApiError:
    headers = CIMultiDict(
        (name, value.replace(token, "***")) for name, value in answer.headers.items()
    )
    return wire.refusal(answer.status, headers, _without(token, answer.body), now=now)


def _without(token: Secret, body: bytes) -> bytes:
    return body.replace(token.encode(), b"***")

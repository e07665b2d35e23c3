"""One question over aiohttp and the answer to it: the only module that imports its client.

Whatever goes wrong on the way comes out as one of this library's errors, and none of them leads
back to aiohttp's, which hold the request's headers and the token among them.
"""

import platform
import re
from collections.abc import Mapping

import aiohttp
import anyio
import msgspec
from aiohttp.connector import Connection
from yarl import URL

from .._version import __version__
from ..clock import Clock
from ..errors import (
    AnswerTimeoutError,
    ClosedError,
    ConnectError,
    ConnectionLostError,
    PageTooLargeError,
    TransportError,
)
from ..wire import refusals
from .credentials import Secret
from .rate_limit import Limit

TIMEOUT = 100.0
"""Seconds for a whole answer; the server's own limit is 90
(https://developers.samsara.com/docs/response-codes), and giving up earlier asks twice."""
CONNECT_TIMEOUT = 10.0
"""Seconds to make a connection."""
MAX_PAGE_BYTES = 64 * 1024 * 1024
"""The largest body, decompressed, that is read."""
_REFUSAL_BYTES = 64 * 1024
"""How much of a refusal's body is read."""

_REFUSAL_TIMEOUT = 5.0
"""Seconds to wait for it."""

USER_AGENT = (
    f"coachstream/{__version__} aiohttp/{aiohttp.__version__} Python/{platform.python_version()}"
)

NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)
"""What aiohttp raises when the network, or the other side, fails."""


class Answer(msgspec.Struct, frozen=True):
    """What came back. It shows nothing of itself: who knows what a proxy has put in."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Exchange:
    """Questions and answers over one aiohttp session, ours or the caller's."""

    def __init__(
        self,
        *,
        http: aiohttp.ClientSession | None,
        clock: Clock,
        api_version: str | None,
        timeout: float,
        max_page_bytes: int,
    ) -> None:
        self._http = http
        self._owns_http = http is None
        self._closed = False
        self._clock = clock
        self.timeout = timeout
        """Seconds an answer may take."""
        self._max_page_bytes = max_page_bytes
        connect = min(CONNECT_TIMEOUT, timeout)
        self._timeouts = aiohttp.ClientTimeout(total=timeout, sock_connect=connect)
        self._headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if api_version is not None:
            self._headers["X-Samsara-Version"] = api_version

    async def ask(self, method: str, url: URL, *, token: Secret, limit: Limit) -> Answer:
        """Return what came back.

        Raises:
            TransportError: nothing did, or not whole.
            ClosedError: this, or the caller's session, has been closed.
        """
        session = self._session()
        headers = {**self._headers, "Authorization": Secret(f"Bearer {token}")}
        if not session.auto_decompress:
            headers["Accept-Encoding"] = "identity"
        way = _Way(limit, self._clock)
        try:
            async with session.request(
                method,
                url,
                headers=headers,
                allow_redirects=False,
                raise_for_status=False,
                timeout=self._timeouts,
                middlewares=(*session._middlewares, way.middleware()),  # noqa: SLF001  # see `_Way`
            ) as response:
                if response.status == 429:
                    # Before its body is read, which may take its time: nobody else shall ask.
                    way.turn_back(response.headers)
                good = 200 <= response.status < 300
                body = await (self._whole(response) if good else _excerpt(response))
                return Answer(response.status, response.headers, body)
        except NETWORK_ERRORS as error:
            failure = _translated(error, self.timeout)
        # Raised here, not above: ours must not lead to aiohttp's, neither as cause nor as context.
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
        if self._http.closed:
            raise ClosedError("the aiohttp session given as http is closed")
        return self._http

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


class _Way:
    """The last steps of one try, as a middleware of aiohttp's: onto the connection, and once.

    aiohttp asks again by itself when a kept-alive connection proves dead; that request would leave
    without a turn at the limit and without a word to telemetry. It repeats on errors of its own,
    so it is told of one of ours. A middleware given with a request replaces the session's own,
    which is why those are passed on: there is no public name for them.
    """

    def __init__(self, limit: Limit, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._left_at = clock.monotonic()

    def middleware(self) -> aiohttp.ClientMiddlewareType:
        """Return what aiohttp calls; a function, since test doubles copy whatever else they get."""

        async def travel(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            send = request.send

            async def depart(conn: Connection) -> aiohttp.ClientResponse:
                await self._limit.depart(self._clock)
                self._left_at = self._clock.monotonic()
                return await send(conn)

            request.send = depart  # type: ignore[method-assign]  # the moment after connecting
            failure: TransportError
            try:
                return await handler(request)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                failure = _translated(error, 0.0)
            raise failure

        return travel

    def turn_back(self, headers: Mapping[str, str]) -> None:
        """Have everyone wait as long as a 429 says."""
        delay = refusals.retry_after(headers, now=self._clock.now())
        self._limit.hold(delay or 0.0, self._clock)
        self._limit.slow_down(self._left_at, self._clock)


async def _excerpt(response: aiohttp.ClientResponse) -> bytes:
    """Return the start of a refusal's body. Its status counts even if the rest never comes."""
    body = bytearray()
    try:
        with anyio.fail_after(_REFUSAL_TIMEOUT):
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _REFUSAL_BYTES:
                    response.close()
                    break
    except NETWORK_ERRORS:
        response.close()
    return bytes(body[:_REFUSAL_BYTES])


def _translated(error: Exception, timeout: float) -> TransportError:
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return AnswerTimeoutError(f"no whole answer within {timeout:g} s")
    words = ": ".join(filter(None, (type(error).__name__, _words(error))))
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ConnectError(words)
    return ConnectionLostError(words)


_QUOTING = re.compile(r"(?<!\w)b?['\"]|[<\n]|, message=")
"""Where aiohttp's words go over to what came from the other side."""


def _words(error: Exception) -> str:
    """Return what is wrong, without what came: that may repeat the request, token and all."""
    if isinstance(error, OSError):
        return str(error)  # the system's own words
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    text = re.sub(r"^\d+, message:\s*", "", text)
    return _QUOTING.split(text, maxsplit=1)[0].rstrip(": ")

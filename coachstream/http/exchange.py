"""One request and its response over aiohttp.

Whatever goes wrong comes out as one of this library's errors. None of them leads back to aiohttp's,
which hold the request's headers and the token among them.
"""

import asyncio
import platform
from collections.abc import Mapping

import aiohttp
import anyio
import msgspec
from aiohttp.connector import Connection
from yarl import URL

from .._version import __version__
from ..clock import Clock
from ..errors import (
    ClosedError,
    CoachStreamError,
    InvalidArgumentError,
    PageTooLargeError,
    TransportError,
)
from ..text import printable
from ..wire import refusals
from .credentials import Secret
from .failures import NETWORK_ERRORS, translated
from .rate_limit import Limiter

TIMEOUT = 100.0
"""Seconds for a whole response; the server's own limit is 90
(https://developers.samsara.com/docs/response-codes), and giving up earlier sends it twice."""
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


class Response(msgspec.Struct, frozen=True):
    """Status, headers and body. Its repr shows the status alone: the rest may hold anything."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    from_cache: bool = False
    """Whether it was stored before: by the caller's session, or by a cache on the way."""

    def __repr__(self) -> str:
        return f"<Response {self.status}>"

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Exchange:
    """Sends requests over one aiohttp session, ours or the caller's."""

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
        """Seconds a response may take."""
        self._max_page_bytes = max_page_bytes
        connect = min(CONNECT_TIMEOUT, timeout)
        self._timeouts = aiohttp.ClientTimeout(total=timeout, sock_connect=connect)
        self._headers = {
            "Accept": "application/json",
            "Cache-Control": "no-cache",  # a stored page would say for ever that there is no more
            "User-Agent": USER_AGENT,
        }
        if api_version is not None:
            self._headers["X-Samsara-Version"] = api_version

    async def send(self, method: str, url: URL, *, token: Secret, limiter: Limiter) -> Response:
        """Send a request and return the response, whatever its status.

        Raises:
            TransportError: no response came, or not a whole one.
            ClosedError: this, or the caller's session, has been closed.
            InvalidArgumentError: the caller's session can't be used.
            PausedError: the request was not sent, because a pause of the limiter began.
        """
        session = self._session()
        headers = self._headers
        if not session.auto_decompress:
            headers = {**headers, "Accept-Encoding": "identity"}
        sending = _Sending(token, limiter, self._clock)
        failure: CoachStreamError
        try:
            async with session.request(
                method,
                _without_lookup(session, url),
                headers=headers,
                allow_redirects=False,
                raise_for_status=False,
                timeout=self._timeouts,
                middlewares=(*session._middlewares, sending.middleware()),  # noqa: SLF001  # see `_Sending`
            ) as response:
                if response.status == 429:
                    # Before its body is read, which may take long: no other request may be sent.
                    sending.refused(response.headers)
                good = 200 <= response.status < 300
                if good:
                    _check_encoding(session, response)
                body = await (self._whole(response) if good else _excerpt(response))
                from_cache = _is_from_cache(response)
                return Response(response.status, response.headers, body, from_cache)
        except NETWORK_ERRORS as error:
            failure = translated(error, self.timeout)
        except ValueError:
            if not _has_two_credentials(session):
                raise
            failure = InvalidArgumentError(
                "http",
                "aiohttp sends nothing with this session: it has an Authorization header and other "
                "credentials, by auth= or by trust_env=True (a netrc); remove the header",
            )
        # Raised here, not above: ours must not lead to aiohttp's, neither as cause nor as context.
        raise failure

    async def aclose(self) -> None:
        """Close our own session; the caller's stays open."""
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
        if self._http._loop is not asyncio.get_running_loop():  # noqa: SLF001  # its public name is deprecated
            raise InvalidArgumentError("http", "an aiohttp session is for one event loop only")
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
        raise PageTooLargeError(f"the response's body has more than {bound} bytes")


class _Sending:
    """The last steps of one request, as a middleware of aiohttp's: onto the connection, and once.

    aiohttp by itself repeats a request when a kept-alive connection proves dead. The repetition
    would bypass the limiter and telemetry. aiohttp repeats on errors of its own only, so this
    middleware translates them to ours. A middleware given with a request replaces the session's
    own, so those are passed on; there is no public name for them.

    The token is added here, too: aiohttp refuses to send one beside the credentials that a session
    has of its own. This replaces them.
    """

    def __init__(self, token: Secret, limiter: Limiter, clock: Clock) -> None:
        self._authorization = Secret(f"Bearer {token}")
        self._limiter = limiter
        self._clock = clock
        self._sent_at = clock.monotonic()

    def middleware(self) -> aiohttp.ClientMiddlewareType:
        """Return what aiohttp calls; a function, because test doubles copy any other object."""

        async def handle(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            request.headers["Authorization"] = self._authorization
            send = request.send

            async def send_in_turn(conn: Connection) -> aiohttp.ClientResponse:
                await self._limiter.before_sending(self._clock)
                self._sent_at = self._clock.monotonic()
                return await send(conn)

            request.send = send_in_turn  # type: ignore[method-assign]  # the moment after connecting
            failure: TransportError
            try:
                return await handler(request)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                failure = translated(error, 0.0)
            raise failure

        return handle

    def refused(self, headers: Mapping[str, str]) -> None:
        """Make everyone wait as long as a 429 says."""
        delay = refusals.retry_after(headers, now=self._clock.now())
        self._limiter.refused(delay, sent_at=self._sent_at, clock=self._clock)


def _without_lookup(session: aiohttp.ClientSession, url: URL) -> URL:
    """Return the URL with a user, if aiohttp would otherwise use credentials that are not ours.

    It would look for the server in a ``.netrc``, and fail on a user there that can't be sent.
    It takes the user out of the URL again, and `_Sending` replaces what it makes of it.
    """
    others = session.trust_env or session.auth is not None
    return url if not others or "Authorization" in session.headers else url.with_user("token")


def _has_two_credentials(session: aiohttp.ClientSession) -> bool:
    others = session.trust_env or session.auth is not None
    return others and "Authorization" in session.headers


def _is_from_cache(response: aiohttp.ClientResponse) -> bool:
    # Sessions that cache, such as aiohttp-client-cache's, mark their responses so.
    of_the_session = getattr(response, "from_cache", False) is True
    return of_the_session or response.headers.get("Age", "0").strip("0 ") != ""


def _check_encoding(session: aiohttp.ClientSession, response: aiohttp.ClientResponse) -> None:
    """Raise an error, if the body comes compressed and the caller's session leaves it so."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if not session.auto_decompress and encoding.lower() != "identity":
        raise InvalidArgumentError(
            "http",
            "this aiohttp session has auto_decompress=False, but the server compresses its "
            f"responses all the same ({printable(encoding, 20)})",
        )


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

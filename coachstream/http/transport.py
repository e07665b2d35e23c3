"""Requests to one server: authorised, paced, retried, and reported as events."""

import itertools
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

import anyio
import msgspec
from multidict import CIMultiDict
from yarl import URL

from ..errors import (
    AnswerTimeoutError,
    ApiError,
    CoachStreamError,
    RateLimitError,
    TokenUnavailableError,
    UnauthorizedError,
    UndecodableError,
)
from ..retry import Patience, RetryPolicy
from ..tasks import Runtime
from ..telemetry import (
    LimitLowered,
    Observer,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    Throttled,
    TokenRenewed,
)
from ..wire import refusals
from .credentials import Credentials, Secret
from .exchange import NETWORK_ERRORS, Exchange, Response
from .rate_limit import Limiter

T = TypeVar("T")


class _Request(msgspec.Struct, frozen=True):
    """What stays the same from attempt to attempt."""

    method: str
    path: str
    url: URL
    limiter: Limiter
    observe: Observer

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"


class Transport:
    """Sends requests to one server."""

    def __init__(
        self,
        *,
        url: URL,
        credentials: Credentials,
        exchange: Exchange,
        grace: float,
        retry: RetryPolicy,
        runtime: Runtime,
    ) -> None:
        self._url = str(url).rstrip("/")
        self._credentials = credentials
        self._exchange = exchange
        self._grace = grace  # seconds past its own time-out after which a request is abandoned
        self._retry = retry
        self._runtime = runtime
        self._clock = runtime.clock
        self._date: tuple[str, float] | None = None  # the last response's, and when it came

    @property
    def timeout(self) -> float:
        """Seconds one request may take at most."""
        return self._exchange.timeout

    @property
    def server_now(self) -> datetime | None:
        """The server's time, from the ``Date`` of its last response; None if it had none."""
        if self._date is None or (theirs := refusals.http_date(self._date[0])) is None:
            return None
        return theirs + timedelta(seconds=self._clock.monotonic() - self._date[1])

    async def call(
        self,
        method: str,
        path: str,
        query: str,
        *,
        limiter: Limiter,
        patience: Patience,
        read: Callable[[bytes], Awaitable[T]],
        observe: Observer | None = None,
    ) -> T:
        """Return what ``read`` makes of the response's body, retrying while there is patience.

        Raises:
            CoachStreamError: the last attempt's error.
        """
        url = URL(f"{self._url}{path}?{query}" if query else f"{self._url}{path}", encoded=True)
        request = _Request(method, path, url, limiter, observe or self._runtime.observe)
        failing_since = self._clock.monotonic()
        for attempt in itertools.count(1):
            try:
                return await self._authorized(request, attempt, read)
            except CoachStreamError as error:
                delay = self._retry.delay(attempt, self._runtime.random, at_least=error.retry_after)
                failing_for = self._clock.monotonic() + delay - failing_since
                if not error.transient or patience.is_over(
                    attempt=attempt, failing_for=failing_for
                ):
                    raise
                await self._wait(request, attempt, error, delay)
        raise AssertionError("counting never ends")

    async def _wait(
        self, request: _Request, attempt: int, error: CoachStreamError, delay: float
    ) -> None:
        limiter, route = request.limiter, request.route
        request.observe(RetryScheduled(route=route, attempt=attempt, delay=delay, error=error))
        if isinstance(error, RateLimitError):
            # A 429 counts for the whole organisation, so every caller waits at the limiter.
            limiter.pause(delay, self._clock)
            request.observe(LimitLowered(route=route, delay=delay, pace=limiter.pace))
        else:
            await self._clock.sleep(delay)

    async def _authorized(
        self, request: _Request, attempt: int, read: Callable[[bytes], Awaitable[T]]
    ) -> T:
        """Send once; after a 401 once more, if the token provider has another token."""
        token = self._credentials.known
        if token is None:
            token = await self._token(self._credentials.token())
        try:
            return await self._paced(request, attempt, token, read)
        except UnauthorizedError:
            if not await self._token(self._credentials.renewed(token)):
                raise
        request.observe(TokenRenewed())
        return await self._paced(request, attempt, await self._credentials.token(), read)

    async def _token(self, provided: Coroutine[Any, Any, T]) -> T:
        """Wait for the token provider, whose network may fail as ours may."""
        try:
            with anyio.fail_after(self.timeout):
                return await provided
        except NETWORK_ERRORS as error:
            # Its words may hold the secrets of an OAuth client, and go to the log.
            raise TokenUnavailableError(
                f"the token provider failed: {type(error).__name__}"
            ) from error

    async def _paced(
        self,
        request: _Request,
        attempt: int,
        token: Secret,
        read: Callable[[bytes], Awaitable[T]],
    ) -> T:
        limiter = request.limiter
        if (paused := limiter.paused_for(self._clock)) > 0:
            request.observe(Throttled(route=request.route, delay=paused))
        await limiter.acquire(self._clock)
        request.observe(RequestStarted(route=request.route, attempt=attempt))
        began = self._clock.monotonic()
        response = await self._send(request, token)
        request.observe(
            RequestFinished(
                route=request.route,
                attempt=attempt,
                status=response.status,
                seconds=self._clock.monotonic() - began,
                size=len(response.body),
                request_id=_masked(token, response.headers.get("Request-Id")),
            )
        )
        if date := response.headers.get("Date"):
            self._date = date, self._clock.monotonic()
        failure: CoachStreamError
        if response.good:
            try:
                return await read(response.body)
            except UndecodableError as error:
                failure = UndecodableError(str(error), body=_without(token, response.body))
        else:
            failure = _refusal(response, token, now=self._clock.now(), route=request.route)
        # Raised here, apart from what it was made of: a proxy's page may repeat the request, token
        # and all, and so would the variables of the frames that read it.
        raise failure

    async def _send(self, request: _Request, token: Secret) -> Response:
        """Send, and watch over it: a request that outlives its time-out is abandoned.

        That never happens, unless aiohttp, or something that was given to us, does not work as it
        should; and then the caller would wait for ever. The next attempt takes another connection.
        """
        with anyio.move_on_after(self.timeout + self._grace):
            return await self._exchange.send(
                request.method, request.url, token=token, limiter=request.limiter
            )
        raise AnswerTimeoutError(f"no response and no error {self._grace:g} s after the time-out")

    async def aclose(self) -> None:
        """Close our connections."""
        await self._exchange.aclose()


def _refusal(response: Response, token: Secret, *, now: datetime, route: str) -> ApiError:
    headers = CIMultiDict(
        (name, _masked(token, value) or "") for name, value in response.headers.items()
    )
    body = _without(token, response.body)
    return refusals.error_from_response(response.status, headers, body, now=now, route=route)


def _masked(token: Secret, value: str | None) -> str | None:
    """Return a header's value without the token, and with bytes that are no text made visible."""
    if not value:
        return value
    return _without(token, value.encode(errors="surrogateescape")).decode(errors="replace")


def _without(token: Secret, text: bytes) -> bytes:
    """Mask the token, unless it is so short that it is no secret and occurs in any word."""
    return text.replace(token.encode(), b"***") if len(token) >= 8 else text

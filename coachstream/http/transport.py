"""Requests to one server: authorised, paced, retried, and reported as events."""

import itertools
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

import anyio
import msgspec
from multidict import CIMultiDict
from yarl import URL

from ..errors import (
    AnswerTimeoutError,
    ApiError,
    ClosedError,
    CoachStreamError,
    RateLimitError,
    UnauthorizedError,
    UndecodableError,
)
from ..retry import Patience, RetryPolicy
from ..tasks import Runtime, supervised
from ..telemetry import (
    CacheNoticed,
    LimitLowered,
    Observer,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    Throttled,
    TokenRenewed,
)
from ..text import printable
from ..wire import refusals
from .credentials import Credentials, Secret
from .exchange import Exchange, Response
from .masking import masked, masked_header
from .rate_limit import Limiter, PausedError, SlotWatch

T = TypeVar("T")


class _Request(msgspec.Struct, frozen=True):
    """What stays the same from attempt to attempt."""

    method: str
    path: str
    url: URL
    limiter: Limiter
    observe: Observer
    deadline: float | None
    """When it is given up, by the clock; None: that depends on its failures alone."""

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
        self._from_cache = False  # whether the last response came from a cache
        self._calls: set[anyio.CancelScope] = set()
        self._closed = False

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
            ClosedError: the client is closed, or was closed meanwhile.
            CoachStreamError: the last attempt's error.
        """
        if self._closed:
            raise ClosedError("the client is closed")
        url = URL(f"{self._url}{path}?{query}" if query else f"{self._url}{path}", encoded=True)
        total = patience.total
        deadline = None if total is None else self._clock.monotonic() + total
        request = _Request(method, path, url, limiter, observe or self._runtime.observe, deadline)
        if total is None:  # a stream's, which cancels its requests when it closes
            return await self._retried(request, patience, read)
        with anyio.move_on_after(total) as scope:
            self._calls.add(scope)
            try:
                return await self._retried(request, patience, read)
            finally:
                self._calls.discard(scope)
        if self._closed:
            raise ClosedError("the client was closed meanwhile")
        late = AnswerTimeoutError(f"no response in {total:g} s, with all waits and retries")
        late.retry_after = max(0.0, limiter.paused_for(self._clock)) or None
        raise late

    async def _retried(
        self, request: _Request, patience: Patience, read: Callable[[bytes], Awaitable[T]]
    ) -> T:
        began = self._clock.monotonic()
        failing_since: float | None = None
        for attempt in itertools.count(1):
            try:
                return await self._authorized(request, attempt, read)
            except CoachStreamError as error:
                delay = self._retry.delay(attempt, self._runtime.random, at_least=error.retry_after)
                now = self._clock.monotonic()
                failing_since = now if failing_since is None else failing_since
                if not error.transient or patience.is_over(
                    attempt=attempt,
                    failing_for=now + delay - failing_since,
                    total=now + delay - began,
                ):
                    raise
                request.observe(
                    RetryScheduled(route=request.route, attempt=attempt, delay=delay, error=error)
                )
            # Not at the limiter: only this request waits, others as long as a 429 said.
            await self._clock.sleep(delay)
        raise AssertionError("counting never ends")

    async def _authorized(
        self, request: _Request, attempt: int, read: Callable[[bytes], Awaitable[T]]
    ) -> T:
        """Send; after a 401 again, as long as the token provider has another token.

        A token may live for seconds, so it is taken when the turn has come. One that came from the
        provider just then and is refused is the best there is: a second such one is not tried.
        """
        refused: Secret | None = None
        failure: UnauthorizedError | None = None
        while True:
            await self._turn(request)
            is_new = self._credentials.ready is None
            token = await self._token(request)
            if failure is not None:
                if token == refused:
                    raise failure
                request.observe(TokenRenewed())
            try:
                response = await self._exchanged(request, attempt, token)
                return await self._result(request, response, token, read)
            except PausedError:
                continue
            except UnauthorizedError as error:
                if not self._credentials.refuse(token) or (is_new and failure is not None):
                    raise
                refused, failure = token, error

    async def _turn(self, request: _Request) -> None:
        if (paused := request.limiter.paused_for(self._clock)) > 0:
            deadline = request.deadline
            if deadline is not None and self._clock.monotonic() + paused > deadline:
                raise RateLimitError(
                    429,
                    "not sent: an earlier 429 makes all wait",
                    route=request.route,
                    retry_after=paused,
                )
            request.observe(Throttled(route=request.route, delay=paused))
        watch = SlotWatch(request.limiter, self._clock, request.observe)
        try:
            await request.limiter.acquire(self._clock)
        finally:
            watch.end()

    async def _token(self, request: _Request) -> Secret:
        if (token := self._credentials.ready) is not None:
            return token
        runtime = self._runtime.observed_by(request.observe)
        return await supervised(self._credentials.token, "the token provider", runtime)

    async def _exchanged(self, request: _Request, attempt: int, token: Secret) -> Response:
        """Send once, and report it."""
        request.observe(RequestStarted(route=request.route, attempt=attempt))
        began = self._clock.monotonic()
        response = await self._send(request, token)
        request_id = response.headers.get("Request-Id")
        request.observe(
            RequestFinished(
                route=request.route,
                attempt=attempt,
                status=response.status,
                seconds=self._clock.monotonic() - began,
                size=len(response.body),
                request_id=printable(masked_header(token, request_id)) if request_id else None,
                from_cache=response.from_cache,
            )
        )
        if response.from_cache and not self._from_cache:
            request.observe(CacheNoticed(route=request.route))
        self._from_cache = response.from_cache
        if response.status == 429:
            limiter = request.limiter
            delay = max(0.0, limiter.paused_for(self._clock))
            request.observe(LimitLowered(route=request.route, delay=delay, pace=limiter.pace))
        if (date := response.headers.get("Date")) and not response.from_cache:
            self._date = date, self._clock.monotonic()
        return response

    async def _result(
        self,
        request: _Request,
        response: Response,
        token: Secret,
        read: Callable[[bytes], Awaitable[T]],
    ) -> T:
        failure: CoachStreamError
        if response.good:
            try:
                return await read(response.body)
            except UndecodableError as error:
                failure = UndecodableError(
                    printable(masked(token, str(error))), body=masked(token, response.body)
                )
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
        """End the calls that are waiting, and close our connections."""
        self._closed = True
        for scope in tuple(self._calls):
            scope.cancel()
        await self._exchange.aclose()


def _refusal(response: Response, token: Secret, *, now: datetime, route: str) -> ApiError:
    headers = CIMultiDict(
        (name, masked_header(token, value)) for name, value in response.headers.items()
    )
    body = masked(token, response.body)
    return refusals.error_from_response(response.status, headers, body, now=now, route=route)

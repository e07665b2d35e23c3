"""The way to the API: one request after another, paced, retried, and told of."""

import itertools
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

import anyio
import msgspec
from multidict import CIMultiDict
from yarl import URL

from ..clock import Clock
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
from .exchange import NETWORK_ERRORS, Answer, Exchange
from .rate_limit import Limit

T = TypeVar("T")


class _Request(msgspec.Struct, frozen=True):
    """What stays the same from try to try."""

    method: str
    path: str
    url: URL
    limit: Limit
    observe: Observer

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"


class Transport:
    """Carries requests to one server, and answers back."""

    def __init__(
        self,
        *,
        url: URL,
        credentials: Credentials,
        exchange: Exchange,
        grace: float,
        retry: RetryPolicy,
        clock: Clock,
        random: Random,
        observer: Observer,
    ) -> None:
        self._url = str(url).rstrip("/")
        self._credentials = credentials
        self._exchange = exchange
        self._grace = grace  # seconds past its own time-out after which a request is abandoned
        self._retry = retry
        self._clock = clock
        self._random = random
        self._observe = observer
        self._date: tuple[str, float] | None = None  # the last answer's, and when it came

    @property
    def timeout(self) -> float:
        """Seconds one request may take at most."""
        return self._exchange.timeout

    @property
    def server_now(self) -> datetime | None:
        """The server's time, as the ``Date`` of its last answer has it; None if it had none."""
        if self._date is None or (theirs := refusals.http_date(self._date[0])) is None:
            return None
        return theirs + timedelta(seconds=self._clock.monotonic() - self._date[1])

    async def call(
        self,
        method: str,
        path: str,
        query: str,
        *,
        limit: Limit,
        patience: Patience,
        read: Callable[[bytes], Awaitable[T]],
        observer: Observer | None = None,
    ) -> T:
        """Return what ``read`` makes of the answer's body, trying again while there is patience.

        Raises:
            CoachStreamError: what finally stood in the way.
        """
        url = URL(f"{self._url}{path}?{query}" if query else f"{self._url}{path}", encoded=True)
        request = _Request(method, path, url, limit, observer or self._observe)
        failing_since = self._clock.monotonic()
        for attempt in itertools.count(1):
            try:
                return await self._authorized(request, attempt, read)
            except CoachStreamError as error:
                delay = self._retry.delay(attempt, self._random, at_least=error.retry_after)
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

    async def _authorized(
        self, request: "_Request", attempt: int, read: Callable[[bytes], Awaitable[T]]
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

    async def _token(self, asking: Coroutine[Any, Any, T]) -> T:
        """Wait for the token provider, whose network may fail as ours may."""
        try:
            with anyio.fail_after(self.timeout):
                return await asking
        except NETWORK_ERRORS as error:
            # Its words may hold the secrets of an OAuth client, and go to the log.
            raise TokenUnavailableError(
                f"the token provider failed: {type(error).__name__}"
            ) from error

    async def _paced(
        self,
        request: "_Request",
        attempt: int,
        token: Secret,
        read: Callable[[bytes], Awaitable[T]],
    ) -> T:
        limit = request.limit
        if (held := limit.held_for(self._clock)) > 0:
            request.observe(Throttled(route=request.route, delay=held))
        await limit.turn(self._clock)
        request.observe(RequestStarted(route=request.route, attempt=attempt))
        began = self._clock.monotonic()
        answer = await self._answer(request, token)
        request.observe(
            RequestFinished(
                route=request.route,
                attempt=attempt,
                status=answer.status,
                seconds=self._clock.monotonic() - began,
                size=len(answer.body),
                request_id=_masked(token, answer.headers.get("Request-Id")),
            )
        )
        if date := answer.headers.get("Date"):
            self._date = date, self._clock.monotonic()
        failure: CoachStreamError
        if answer.good:
            try:
                return await read(answer.body)
            except UndecodableError as error:
                failure = UndecodableError(str(error), body=_without(token, answer.body))
        else:
            failure = _refusal(answer, token, now=self._clock.now(), route=request.route)
        # Raised here, apart from what it was made of: a proxy's page may repeat the request, token
        # and all, and so would the variables of the frames that read it.
        raise failure

    async def _answer(self, request: "_Request", token: Secret) -> Answer:
        """Ask, and watch over it: a question that outlives its own time-out is given up.

        That never happens, unless something that was given to us, or aiohttp, fails in its duty;
        and then whoever waits for the answer would wait for ever. Asked again, it takes another
        connection.
        """
        with anyio.move_on_after(self.timeout + self._grace):
            return await self._exchange.ask(
                request.method, request.url, token=token, limit=request.limit
            )
        raise AnswerTimeoutError(f"no answer and no error {self._grace:g} s after the time-out")

    async def aclose(self) -> None:
        """Close what we opened."""
        await self._exchange.aclose()


def _refusal(answer: Answer, token: Secret, *, now: datetime, route: str) -> ApiError:
    masked = CIMultiDict(
        (name, _masked(token, value) or "") for name, value in answer.headers.items()
    )
    return refusals.refusal(
        answer.status, masked, _without(token, answer.body), now=now, route=route
    )


def _masked(token: Secret, value: str | None) -> str | None:
    """Return a header's value without the token, and with what is no text in it made visible."""
    if not value:
        return value
    return _without(token, value.encode(errors="surrogateescape")).decode(errors="replace")


def _without(token: Secret, text: bytes) -> bytes:
    """Mask the token, unless it is so short that it is no secret and stands in any word."""
    return text.replace(token.encode(), b"***") if len(token) >= 8 else text

"""The front door: one organisation's token, server and limits."""

import os
import re
from datetime import timedelta
from random import Random
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from .arguments import at_least_one, flag, instance_of, instance_or_new, seconds
from .assignments.endpoint import Assignments
from .clock import Clock, checked_clock
from .errors import InvalidArgumentError
from .feed.health import GRACE
from .http.address import VARIABLE, Region, is_plain, server_url
from .http.credentials import Credentials, Secret, TokenProvider
from .http.exchange import MAX_PAGE_BYTES, TIMEOUT, Exchange
from .http.rate_limit import RateLimits
from .http.transport import Transport
from .observers.logging import checked_observer
from .progress.checkpointer import LAST_SAVE
from .retry import RetryPolicy
from .sessions.endpoint import Sessions
from .sessions.opening import StreamOpener
from .tasks import BackgroundTasks, Runtime, cancellation_first, close_after, close_all
from .telemetry import Observer, PlainHttp

CLOSING = LAST_SAVE + 1.0
"""Seconds that closing may take; a little more than a stream's, so that its own error is raised."""


class Client:
    """Samsara's coaching endpoints, for one token.

    Use it as ``async with Client(...) as client``, or call `aclose` when done. It belongs to one
    event loop.

    Args:
        token: An API token with the scope Read Coaching (and Write Coaching, to change
            assignments), or an async function that returns one. None reads the environment
            variable ``SAMSARA_API_TOKEN``.
        region: The region of the organisation's account: ``us``, ``eu`` or ``ca``.
        base_url: Another server, such as an emulator. None reads the environment variable
            ``SAMSARA_BASE_URL``, which counts before the region; without it, the region's server.
        allow_http: Allow plain HTTP to other machines, such as an emulator in another container. It
            shows the token to everyone in between; plain HTTP to this machine needs no permission.
        api_version: Sent as ``X-Samsara-Version``, such as ``"2025-06-11"``. Without it the
            version of the token applies (https://developers.samsara.com/docs/versioning).
        rate_limits: Requests per second. Give clients of one organisation the same object.
        retry: How often and how long to retry.
        timeout: How long one response may take, in seconds or as a ``timedelta``.
        max_page_bytes: The largest response, decompressed, that is read.
        http: Your own aiohttp session, for proxies and TLS; the client does not close it.
        observer: Called with every event of `coachstream.telemetry`; None logs them.
        clock: Where time comes from; for tests.
        random: Where the jitter of retries comes from; for tests.

    Attributes:
        sessions: Coaching sessions (`Sessions`): ``stream``, ``backfill``, ``snapshot``.
        assignments: Who coaches whom (`Assignments`): ``list``, ``assign``, ``unassign``.

    Raises:
        InvalidArgumentError: naming the argument that can't be used.
    """

    sessions: Sessions
    assignments: Assignments

    def __init__(
        self,
        token: str | TokenProvider | None = None,
        *,
        region: Region = "us",
        base_url: str | None = None,
        allow_http: bool = False,
        api_version: str | None = None,
        rate_limits: RateLimits | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | timedelta = TIMEOUT,
        max_page_bytes: int = MAX_PAGE_BYTES,
        http: aiohttp.ClientSession | None = None,
        observer: Observer | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        token = Secret(token) if isinstance(token, str) else token  # tracebacks show this frame
        if api_version is not None:
            _check_version(api_version)
        if http is not None:
            _check_session(http)
        observe = checked_observer(observer)
        retry = instance_or_new("retry", retry, RetryPolicy)
        limits = instance_or_new("rate_limits", rate_limits, RateLimits)
        runtime = Runtime(
            clock=checked_clock(clock),
            random=instance_or_new("random", random, Random),
            observe=observe,
            tasks=BackgroundTasks(),
        )
        exchange = Exchange(
            http=http,
            clock=runtime.clock,
            api_version=api_version,
            timeout=seconds("timeout", timeout),
            max_page_bytes=at_least_one("max_page_bytes", max_page_bytes),
        )
        self._runtime = runtime
        self._transport = Transport(
            url=_server_url(region, base_url, allow_http=allow_http, observe=observe),
            credentials=Credentials(token, runtime=runtime, within=exchange.timeout + GRACE),
            exchange=exchange,
            grace=GRACE,
            retry=retry,
            runtime=runtime,
        )
        self._streams = StreamOpener(
            transport=self._transport, limiter=limits.sessions, retry=retry, runtime=runtime
        )
        self.sessions = Sessions(self._streams, runtime)
        self.assignments = Assignments(
            transport=self._transport,
            limiter=limits.assignments,
            patience=retry.for_a_call(longest_try=exchange.timeout + GRACE),
            runtime=runtime,
        )

    async def aclose(self) -> None:
        """Save positions, cancel what runs and close our connections; twice is harmless.

        A task that waits for a session or a call gets `ClosedError`. A running token provider may
        finish. Closing takes at most eleven seconds, even if something hangs. If the task that
        closes the client is cancelled meanwhile, the cancellation is raised afterwards.

        Raises:
            Exception: the error of the first stream whose position could not be saved.
        """
        async with cancellation_first():
            closers = [*self._streams.closers, self._disconnect]
            await close_all(closers, self._runtime, within=CLOSING)

    async def _disconnect(self) -> None:
        try:
            await self._transport.aclose()
        finally:
            await self._runtime.tasks.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await close_after(error, self.aclose, "the client")


def _server_url(
    region: Region, base_url: str | None, *, allow_http: bool, observe: Observer
) -> URL:
    url = server_url(
        region=region,
        base_url=base_url,
        from_environment=os.environ.get(VARIABLE),
        allow_http=flag("allow_http", allow_http),
    )
    if is_plain(url):
        observe(PlainHttp(host=url.host or ""))
    return url


def _check_session(http: aiohttp.ClientSession) -> None:
    if instance_of("http", http, aiohttp.ClientSession).closed:
        raise InvalidArgumentError("http", "this aiohttp session is closed")


def _check_version(version: str) -> None:
    if not re.fullmatch(r"[0-9A-Za-z.-]+", instance_of("api_version", version, str)):
        raise InvalidArgumentError("api_version", f"{version!r} is not a version")

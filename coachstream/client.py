"""The front door: one organisation's token, server and limits."""

import re
from datetime import timedelta
from random import Random
from types import TracebackType
from typing import Self

import aiohttp
import anyio

from .arguments import at_least_one, instance_of, plain_function, seconds
from .assignments.endpoint import Assignments
from .clock import Clock, SystemClock
from .errors import InvalidArgumentError
from .feed.health import GRACE
from .http.address import server_url
from .http.credentials import Credentials, Secret, TokenProvider
from .http.exchange import MAX_PAGE_BYTES, TIMEOUT, Exchange
from .http.rate_limit import RateLimits
from .http.transport import Transport
from .observers.logging import log_event
from .retry import RetryPolicy
from .sessions.endpoint import Sessions
from .tasks import Background
from .telemetry import Observer, guarded


class Client:
    """Samsara's coaching endpoints, for one token.

    Use it as ``async with Client(...) as client``, or call `aclose` when done. It belongs to one
    event loop.

    Args:
        token: An API token with the scope Read Coaching (and Write Coaching, to change
            assignments), or an async function that returns one. None reads the environment
            variable ``SAMSARA_API_TOKEN``.
        region: Where the organisation lives: ``us``, ``eu`` or ``ca``.
        base_url: Another server instead, such as the emulator; plain HTTP to loopback only.
        api_version: Sent as ``X-Samsara-Version``, such as ``"2025-06-11"``. Without it the
            version of the token applies (https://developers.samsara.com/docs/versioning).
        rate_limits: Requests per second. Clients that share an organisation in one process should
            be given one object.
        retry: How patient to be.
        timeout: How long one answer may take, in seconds or as a ``timedelta``.
        max_page_bytes: The largest answer, decompressed, that is read.
        http: Your own aiohttp session (proxies, TLS); it is not closed by us.
        observer: Called with every event; None logs them, see `coachstream.telemetry`.
        clock: Where time comes from; for tests.
        random: Where the jitter of retries comes from; for tests.

    Raises:
        InvalidArgumentError: naming the argument that can't be used.
    """

    def __init__(
        self,
        token: str | TokenProvider | None = None,
        *,
        region: str = "us",
        base_url: str | None = None,
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
        token = Secret(token) if isinstance(token, str) else token  # for whoever shows this frame
        if api_version is not None and not re.fullmatch(r"[0-9A-Za-z.-]+", api_version):
            raise InvalidArgumentError("api_version", f"{api_version!r} is not a version")
        clock = clock or SystemClock()
        retry = instance_of("retry", retry or RetryPolicy(), RetryPolicy)
        limits = instance_of("rate_limits", rate_limits or RateLimits(), RateLimits)
        if observer is not None:
            plain_function("observer", observer)
        observer = guarded(observer or log_event)
        random = random or Random()
        self._background = Background()
        exchange = Exchange(
            http=http,
            clock=clock,
            api_version=api_version,
            timeout=seconds("timeout", timeout),
            max_page_bytes=at_least_one("max_page_bytes", max_page_bytes),
        )
        self._transport = Transport(
            url=server_url(region=region, base_url=base_url),
            credentials=Credentials(token, background=self._background),
            exchange=exchange,
            grace=GRACE,
            retry=retry,
            clock=clock,
            random=random,
            observer=observer,
        )
        self.sessions = Sessions(
            transport=self._transport,
            limit=limits.sessions,
            retry=retry,
            background=self._background,
            clock=clock,
            random=random,
            observer=observer,
        )
        self.assignments = Assignments(
            transport=self._transport,
            limit=limits.assignments,
            patience=retry.for_a_call(),
            background=self._background,
        )

    async def aclose(self) -> None:
        """Save places, end what runs and close our connections; twice is harmless.

        A task that waits for a session gets `ClosedError`.
        """
        try:
            await self.sessions.aclose()
        finally:
            # Also when all is being cancelled: what is open now, nobody else will close.
            with anyio.CancelScope(shield=True):
                await self._background.aclose()
                await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

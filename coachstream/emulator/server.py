"""The emulator: a real HTTP server that responds as Samsara's coaching API does."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from random import Random
from types import TracebackType
from typing import Self

from aiohttp import web

from .api import Api
from .clock import WorldClock
from .cursors import Cursors
from .delivery import deliver
from .endpoint import EndpointContext
from .faults import Fault
from .profile import Profile
from .request_log import Request, Requests
from .world import World

IDLE_TIMEOUT = 10 * 365 * 86_400.0
"""Seconds an idle connection stays open: ten years, so that no jump of virtual time closes it."""

MAX_LINE_SIZE = 1 << 20
"""Maximum bytes of a request line: large, because Samsara's limit is not known."""


class Emulator:
    """Emulates Samsara's coaching API on this machine, over real HTTP.

    ::

        async with Emulator(World(seed=7)) as api:
            ...  # point any client at api.url, with any token

    Args:
        world: The data to serve; by default a world of 2000 sessions, the same each time.
        profile: How the API behaves where its documentation is silent.
        faults: The faults to apply, in this order; more can be added to ``faults`` at any time.
        token: The only bearer token accepted; by default any token is.
        host: The address to listen on.
        port: The port; 0 lets the system choose one.
        page_size: Items per page, or (minimum, maximum), drawn for each page.
        latency: Seconds by which each response is delayed.
        speed: Seconds of the world's time per second.
        sessions_per_second: How many requests for sessions are allowed in any one second; None for
            no limit. https://developers.samsara.com/docs/rate-limits
        assignments_per_second: The same for assignments, reads and writes together.
        cursor_life: How long a cursor is valid, in the world's time.
        remember: How many requests ``requests`` holds.
        gzip: Whether to compress responses for clients that accept it, as Samsara does.
        on_request: Called with each request, just before its response is sent; for logs.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        profile: Profile | None = None,
        faults: Iterable[Fault] = (),
        token: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        page_size: int | tuple[int, int] = 100,
        latency: float = 0.0,
        speed: float = 1.0,
        sessions_per_second: float | None = 5.0,
        assignments_per_second: float | None = 10.0,
        cursor_life: timedelta = timedelta(days=30),
        remember: int = 100_000,
        gzip: bool = True,
        on_request: Callable[[Request], object] | None = None,
    ) -> None:
        self.profile = profile or Profile()
        self._world = world or World()
        context = EndpointContext(
            world=self._world,
            profile=self.profile,
            cursors=Cursors(
                self._world.seed, cursor_life, of_places=self.profile.cursors == "place"
            ),
            random=Random(self._world.seed),
            page_size=page_size if isinstance(page_size, tuple) else (page_size, page_size),
        )
        self._api = Api(
            context,
            faults=faults,
            token=token,
            rates={"sessions": sessions_per_second, "assignments": assignments_per_second},
            remember=remember,
            on_request=on_request,
        )
        self._address = (host, port)
        self._latency = latency
        self._speed = speed
        self._gzip = gzip
        self._clock: WorldClock | None = None
        self._runner: web.ServerRunner | None = None
        self._url = ""
        self._handling: set[asyncio.Task[object]] = set()

    # Starting and stopping

    async def start(self) -> None:
        """Start to listen; the world's time continues from where it stopped."""
        if self._runner is not None:
            raise RuntimeError("the emulator is already running")
        server = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=IDLE_TIMEOUT,
            max_line_size=MAX_LINE_SIZE,
        )
        runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, *self._address).start()
        except OSError:
            await runner.cleanup()
            raise
        host, port, *_ = runner.addresses[0]
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._clock = WorldClock(self._world.now, speed=self._speed)
        self._world.follow(self._clock.now)
        self._runner = runner

    async def stop(self) -> None:
        """Close all connections, including those with a pending response. May be called twice."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._world.follow(None)
        try:
            for site in list(runner.sites):
                await site.stop()
            for task in self._handling:
                task.cancel()
            if self._handling:
                await asyncio.wait(self._handling)
        finally:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    # State and control

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        if not self._url:
            raise RuntimeError("the emulator has no address until it is started")
        return self._url

    @property
    def requests(self) -> Requests:
        """The requests so far, oldest first."""
        return self._api.requests

    @property
    def faults(self) -> deque[Fault]:
        """The faults not yet applied; more can be added at any time."""
        return self._api.faults

    @property
    def world(self) -> World:
        """The world; it can be read and changed while the emulator runs."""
        return self._world

    @property
    def now(self) -> datetime:
        """The world's time."""
        return self._world.now

    def advance(self, ahead: timedelta) -> None:
        """Move the world's time ahead at once, with all changes due in between."""
        if self._clock is not None and self._runner is not None:
            self._clock.jump(ahead)
        self._world.advance(self._world.now if self._runner else self._world.now + ahead)

    # Handling requests

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        clock, task = self._clock, asyncio.current_task()
        assert clock is not None
        assert task is not None
        self._handling.add(task)
        try:
            headers = http.headers.copy()
            authorization = headers.get("Authorization", "")
            if authorization:
                headers["Authorization"] = "***"
            response, fault = self._api.respond(
                http.method,
                http.raw_path,
                authorization=authorization,
                headers=headers,
                at=clock.elapsed(),
            )
            if self._latency:
                await clock.sleep(self._latency)
            return await deliver(http, response, fault, clock, gzip=self._gzip)
        finally:
            self._handling.discard(task)

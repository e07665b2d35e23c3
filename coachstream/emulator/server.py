"""The emulator: a real HTTP server that answers as Samsara's coaching API does."""

import asyncio
from collections import deque
from collections.abc import Iterable
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
from .request_log import Requests
from .world import World

IDLE = 10 * 365 * 86_400.0
"""Seconds a connection may idle: for ever, or a jump of virtual time would close it in between."""

LONGEST_LINE = 1 << 20
"""Bytes a request line may have. Samsara's limit is not known, so ours shall not be in the way."""


class Emulator:
    """Stands in for Samsara's coaching API, on this machine, over real HTTP.

    ::

        async with Emulator(World(seed=7)) as api:
            ...  # point any client at api.url, with any token

    Args:
        world: What there is to read; by default a world of 2000 sessions, the same each time.
        profile: How the API behaves where its documentation leaves that open.
        faults: What goes wrong, in this order; more can be put into ``faults`` while running.
        token: The bearer token asked for; by default any will do.
        host: Where to listen.
        port: The port; 0 lets the system choose one.
        page_size: Items on a page, or (fewest, most), drawn anew for each page.
        latency: Seconds each answer takes.
        speed: Seconds of the world's time per second.
        sessions_per_second: How many requests for sessions are let through in any one second; None
            for no limit. https://developers.samsara.com/docs/rate-limits
        assignments_per_second: The same for assignments, reading and writing together.
        cursor_life: How long a cursor is good for, in the world's time.
        remember: How many requests ``requests`` keeps.
        gzip: Whether to compress answers for clients that ask for it, as Samsara does.
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
    ) -> None:
        self.profile = profile or Profile()
        self._world = world or World()
        context = EndpointContext(
            world=self._world,
            profile=self.profile,
            cursors=Cursors(self._world.seed, cursor_life),
            random=Random(self._world.seed),
            page_size=page_size if isinstance(page_size, tuple) else (page_size, page_size),
        )
        self._api = Api(
            context,
            faults=faults,
            token=token,
            rates={"sessions": sessions_per_second, "assignments": assignments_per_second},
            remember=remember,
        )
        self._address = (host, port)
        self._latency = latency
        self._speed = speed
        self._gzip = gzip
        self._clock: WorldClock | None = None
        self._runner: web.ServerRunner | None = None
        self._url = ""
        self._handling: set[asyncio.Task[object]] = set()

    # Its life

    async def start(self) -> None:
        """Listen; the world's time goes on from where it stands."""
        if self._runner is not None:
            raise RuntimeError("the emulator runs already")
        server = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=IDLE,
            max_line_size=LONGEST_LINE,
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
        """Close every connection, also those that wait for an answer; twice is harmless."""
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

    # What can be asked of it

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        if not self._url:
            raise RuntimeError("the emulator has no address until it is started")
        return self._url

    @property
    def requests(self) -> Requests:
        """The requests so far, oldest first."""
        return self._api.requests

    @property
    def faults(self) -> deque[Fault]:
        """What is still to go wrong; may be added to at any time."""
        return self._api.faults

    @property
    def world(self) -> World:
        """The world, to be read and changed while the emulator runs."""
        return self._world

    @property
    def now(self) -> datetime:
        """The world's time."""
        return self._world.now

    def advance(self, ahead: timedelta) -> None:
        """Move the world's time ahead at once; what would have happened meanwhile, happens."""
        if self._clock is not None and self._runner is not None:
            self._clock.jump(ahead)
        self._world.advance(self._world.now if self._runner else self._world.now + ahead)

    # How it answers

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
            answer, fault = self._api.answer(
                http.method,
                http.raw_path,
                authorization=authorization,
                headers=headers,
                at=clock.elapsed(),
            )
            if self._latency:
                await clock.sleep(self._latency)
            return await deliver(http, answer, fault, clock, gzip=self._gzip)
        finally:
            self._handling.discard(task)

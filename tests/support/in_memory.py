"""A client and an emulator without a socket: the client's requests go straight to the emulator.

Only `Exchange.send` is replaced, so thousands of histories can run in a minute.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from yarl import URL

from coachstream import AnswerTimeoutError, Client, ConnectionLostError, Observer
from coachstream.emulator import Emulator
from coachstream.emulator.clock import WorldClock
from coachstream.http.exchange import Response
from coachstream.http.rate_limit import Limiter
from tests.support.emulated import TOKEN
from tests.support.virtual_time import LoopClock


class InMemoryExchange:
    """Sends requests to an emulator, with a delay, and fails as a network does."""

    def __init__(self, emulator: Emulator, *, latency: float, chance: Random) -> None:
        self._emulator = emulator
        self._latency = latency
        self._chance = chance
        self._clock = WorldClock(emulator.world.now)
        emulator.world.follow(self._clock.now)

    async def send(self, method: str, url: URL, *, token: str, limiter: Limiter) -> Response:
        """Stand in for `Exchange.send`."""
        await limiter.before_sending(LoopClock())
        sent_at = LoopClock().monotonic()
        await LoopClock().sleep(self._latency * self._chance.random())
        answer, fault = self._emulator._api.respond(
            method,
            url.raw_path_qs,
            authorization=f"Bearer {token}",
            headers={},
            at=self._clock.elapsed(),
        )
        await LoopClock().sleep(self._latency * self._chance.random())
        if fault is not None:
            if fault.kind in {"hang_up", "cut_short"}:
                raise ConnectionLostError(fault.kind)
            if fault.kind == "stall":
                await LoopClock().sleep(100)
                raise AnswerTimeoutError(fault.kind)
            await LoopClock().sleep(fault.seconds)
        if answer.status == 429:
            delay = answer.headers.get("Retry-After")
            told = None if delay is None else float(delay)
            limiter.refused(told, sent_at=sent_at, clock=LoopClock())
        return Response(answer.status, answer.headers, answer.body)


@asynccontextmanager
async def client_in_memory(
    exchange: InMemoryExchange, *, chance: Random, observer: Observer, **more: Any
) -> AsyncIterator[Client]:
    """Yield a client whose requests go to ``exchange``."""
    more = {"clock": LoopClock()} | more
    async with Client(TOKEN, random=chance, observer=observer, **more) as client:
        client._transport._exchange.send = exchange.send  # type: ignore[method-assign]  # on purpose
        yield client

"""The network and the API behind it, in memory: aiohttp's own client talks to it.

A connection is a transport that hands what is written to the emulator, and what the emulator
answers to aiohttp's protocol, late, in parts, or not at all. No task of its own is needed: what is
on its way are timers of the loop.
"""

import asyncio
import zlib
from collections import defaultdict
from random import Random
from typing import Any

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler

from coachstream.emulator import Emulator
from coachstream.emulator.answer import Answer
from coachstream.emulator.clock import WorldClock
from tests.simulate.faults import AS_FAULTS
from tests.simulate.journal import Journal
from tests.simulate.plan import Plan
from tests.simulate.skies import Skies

IDLE = 61.0
"""Seconds without a question after which the server closes a connection."""
_GZIP = zlib.MAX_WBITS | 16


class Network:
    """Between the client and the emulator."""

    def __init__(self, plan: Plan, emulator: Emulator, skies: Skies, journal: Journal) -> None:
        self.plan = plan
        self.skies = skies
        self.journal = journal
        self.chance = Random(f"network {plan.seed}")
        self.departures: dict[str, list[float]] = defaultdict(list)
        """When the requests of the present client left, by endpoint."""
        self.alive = True
        """Whether whoever asks lives; the dead reach nobody."""
        self._emulator = emulator
        self._clock = WorldClock(emulator.world.now)
        emulator.world.follow(self._clock.now)

    @property
    def delay(self) -> float:
        """Seconds that something takes on its way."""
        return self.plan.latency * self.chance.random()

    def answer(self, method: str, target: str, sent: dict[str, str], kind: str | None) -> Answer:
        """Return what the API says."""
        if kind is not None and kind in AS_FAULTS:
            self._emulator.faults.append(AS_FAULTS[kind](self.chance))
        answer, _ = self._emulator._api.answer(
            method,
            target,
            authorization=sent.get("authorization", ""),
            headers={},
            at=self._clock.elapsed(),
        )
        self._emulator.faults.clear()
        if kind == "malformed session" and answer.served:
            first = msgspec.json.encode(msgspec.json.decode(answer.body)["data"][0])
            self.journal.broken[first].add(answer.served[0])
        self.journal.requests += 1
        self.journal.note("answer", method, answer.status, kind, len(answer.served))
        return answer


class Connector(aiohttp.BaseConnector):
    """Makes connections that are no sockets."""

    def __init__(self, network: Network) -> None:
        # aiohttp would look for idle ones by real time; here the server closes them.
        super().__init__(keepalive_timeout=1e9)
        self._network = network

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: Any,
        timeout: Any,  # noqa: ASYNC109  # as its base class
    ) -> ResponseHandler:
        network = self._network
        kind = network.skies.strike("connection")
        await asyncio.sleep(10.0 if kind == "slow connection" else network.delay)  # noqa: TID251  # the network's time is the loop's
        if kind == "slow connection":
            raise aiohttp.ConnectionTimeoutError("no connection in 10 s")
        if kind == "refused connection":
            refusal = ConnectionRefusedError(111, "Connect call failed")
            raise aiohttp.ClientConnectorError(req.connection_key, refusal)
        protocol: ResponseHandler = self._factory()
        protocol.connection_made(Line(network, protocol))
        return protocol


class Line(asyncio.Transport):
    """One connection."""

    def __init__(self, network: Network, protocol: ResponseHandler) -> None:
        super().__init__()
        self._network = network
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._written = b""
        self._asked = 0
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._written += bytes(data)
        head, end, _ = self._written.partition(b"\r\n\r\n")
        if end:
            self._written = b""
            self._depart(head.decode())

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        """What is on its way comes all the same: pages are small."""

    def resume_reading(self) -> None:
        """See above."""

    def _depart(self, head: str) -> None:
        network = self._network
        self._asked += 1
        request, *lines = head.split("\r\n")
        method, target, _ = request.split(" ")
        sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        endpoint = target.partition("?")[0]
        network.departures[endpoint].append(self._loop.time())
        network.journal.note("request", request)
        if not network.alive:
            return
        kind = network.skies.strike("request")
        if kind == "dropped":
            self._loop.call_later(network.delay, self._break)
        else:
            self._loop.call_later(network.delay, self._arrive, method, target, sent, kind)

    def _arrive(self, method: str, target: str, sent: dict[str, str], kind: str | None) -> None:
        answer = self._network.answer(method, target, sent, kind)
        body, headers = answer.body, dict(answer.headers)
        if self._network.plan.gzip and "gzip" in sent.get("accept-encoding", ""):
            packer = zlib.compressobj(level=1, wbits=_GZIP)
            body, headers["Content-Encoding"] = packer.compress(body) + packer.flush(), "gzip"
        headers["Content-Length"] = str(1 << 40 if kind == "oversize" else len(body))
        lines = [f"HTTP/1.1 {answer.status} It", *(f"{n}: {v}" for n, v in headers.items())]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self._send(head, body, kind)

    def _send(self, head: bytes, body: bytes, kind: str | None) -> None:
        """Let the answer come, as the fault would have it."""
        network, later = self._network, self._loop.call_later
        delay, half = network.delay, len(body) // 2
        match kind:
            case "no headers":
                later(delay, self._break)
            case "half of the headers":
                later(delay, self._receive, head[: len(head) // 2])
                later(2 * delay, self._break)
            case "cut short":
                later(delay, self._receive, head + body[:half])
                later(2 * delay, self._break)
            case "stall":
                later(delay, self._receive, head + body[:half])
                later(3600, self._break)
            case "trickle":
                whole, pause = head + body, 8 * network.chance.random()
                size = len(whole) // 4 + 1
                for number in range(4):
                    part = whole[number * size : (number + 1) * size]
                    later(delay + pause * number, self._receive, part)
            case "slow":
                later(delay + 60 * network.chance.random(), self._receive, head + body)
            case _:
                later(delay, self._receive, head + body)

    def _receive(self, data: bytes) -> None:
        if not self._closing and self._network.alive and data:
            self._protocol.data_received(data)
            self._loop.call_later(IDLE, self._idle, self._asked)

    def _idle(self, asked: int) -> None:
        """Close, if nothing was asked meanwhile, as servers do."""
        if self._asked == asked and not self._closing:
            self._closing = True
            self._protocol.connection_lost(None)

    def _break(self) -> None:
        if not self._closing and self._network.alive:
            self._closing = True
            self._protocol.connection_lost(ConnectionResetError(104, "Connection reset by peer"))

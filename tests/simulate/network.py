"""The network and the API in memory, for aiohttp's own client.

A connection is a transport that passes requests to the emulator, and its responses to aiohttp's
protocol: late, in parts, or not at all. Data in transit are timers of the loop, not tasks.
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
from coachstream.emulator.clock import WorldClock
from coachstream.emulator.response import Response
from tests.simulate.fault_schedule import FaultSchedule
from tests.simulate.faults import EMULATOR_FAULTS
from tests.simulate.journal import Journal
from tests.simulate.plan import Plan

IDLE = 61.0
"""Seconds without a request after which the server closes a connection."""
_GZIP = zlib.MAX_WBITS | 16


class Network:
    """The network between the client and the emulator."""

    def __init__(
        self, plan: Plan, emulator: Emulator, faults: FaultSchedule, journal: Journal
    ) -> None:
        self.plan = plan
        self.faults = faults
        self.journal = journal
        self.chance = Random(f"network {plan.seed}")
        self.request_times: dict[str, list[float]] = defaultdict(list)
        """When the current client sent its requests, by endpoint."""
        self.alive = True
        """False after the client has crashed; nothing it sends arrives."""
        self._emulator = emulator
        self._clock = WorldClock(emulator.world.now)
        emulator.world.follow(self._clock.now)

    @property
    def delay(self) -> float:
        """A random delay in one direction, in seconds."""
        return self.plan.latency * self.chance.random()

    def respond(
        self, method: str, target: str, request_headers: dict[str, str], kind: str | None
    ) -> Response:
        """Return the API's response."""
        if kind is not None and kind in EMULATOR_FAULTS:
            self._emulator.faults.append(EMULATOR_FAULTS[kind](self.chance))
        answer, _ = self._emulator._api.respond(
            method,
            target,
            authorization=request_headers.get("authorization", ""),
            headers={},
            at=self._clock.elapsed(),
        )
        self._emulator.faults.clear()
        if kind == "malformed session" and answer.served:
            first = msgspec.json.encode(msgspec.json.decode(answer.body)["data"][0])
            self.journal.malformed[first].add(answer.served[0])
        self.journal.requests += 1
        self.journal.note("answer", method, answer.status, kind, len(answer.served))
        return answer


class Connector(aiohttp.BaseConnector):
    """Creates in-memory connections instead of sockets."""

    def __init__(self, network: Network) -> None:
        # aiohttp would close idle connections by real time; here the server does it.
        super().__init__(keepalive_timeout=1e9)
        self._network = network

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: Any,
        timeout: Any,  # noqa: ASYNC109  # as in the base class
    ) -> ResponseHandler:
        network = self._network
        kind = network.faults.draw_fault("connection")
        await asyncio.sleep(10.0 if kind == "slow connection" else network.delay)  # noqa: TID251  # the network runs on the loop's time
        if kind == "slow connection":
            raise aiohttp.ConnectionTimeoutError("no connection in 10 s")
        if kind == "refused connection":
            refusal = ConnectionRefusedError(111, "Connect call failed")
            raise aiohttp.ClientConnectorError(req.connection_key, refusal)
        protocol: ResponseHandler = self._factory()
        protocol.connection_made(Connection(network, protocol))
        return protocol


class Connection(asyncio.Transport):
    """One connection."""

    def __init__(self, network: Network, protocol: ResponseHandler) -> None:
        super().__init__()
        self._network = network
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._written = b""
        self._requests = 0
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._written += bytes(data)
        head, end, _ = self._written.partition(b"\r\n\r\n")
        if end:
            self._written = b""
            self._send_request(head.decode())

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        """Do nothing: pages are small, so data in transit still arrive."""

    def resume_reading(self) -> None:
        """Do nothing: reading never pauses."""

    def _send_request(self, head: str) -> None:
        network = self._network
        self._requests += 1
        request, *lines = head.split("\r\n")
        method, target, _ = request.split(" ")
        request_headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        endpoint = target.partition("?")[0]
        network.request_times[endpoint].append(self._loop.time())
        network.journal.note("request", request)
        if not network.alive:
            return
        kind = network.faults.draw_fault("request")
        if kind == "dropped":
            self._loop.call_later(network.delay, self._reset)
        else:
            self._loop.call_later(
                network.delay, self._respond, method, target, request_headers, kind
            )

    def _respond(
        self, method: str, target: str, request_headers: dict[str, str], kind: str | None
    ) -> None:
        answer = self._network.respond(method, target, request_headers, kind)
        body, headers = answer.body, dict(answer.headers)
        if self._network.plan.gzip and "gzip" in request_headers.get("accept-encoding", ""):
            packer = zlib.compressobj(level=1, wbits=_GZIP)
            body, headers["Content-Encoding"] = packer.compress(body) + packer.flush(), "gzip"
        headers["Content-Length"] = str(1 << 40 if kind == "oversize" else len(body))
        lines = [f"HTTP/1.1 {answer.status} It", *(f"{n}: {v}" for n, v in headers.items())]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self._send_response(head, body, kind)

    def _send_response(self, head: bytes, body: bytes, kind: str | None) -> None:
        """Deliver the response as the fault requires."""
        network, later = self._network, self._loop.call_later
        delay, half = network.delay, len(body) // 2
        match kind:
            case "no headers":
                later(delay, self._reset)
            case "half of the headers":
                later(delay, self._receive, head[: len(head) // 2])
                later(2 * delay, self._reset)
            case "cut short":
                later(delay, self._receive, head + body[:half])
                later(2 * delay, self._reset)
            case "stall":
                later(delay, self._receive, head + body[:half])
                later(3600, self._reset)
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
            self._loop.call_later(IDLE, self._close_if_idle, self._requests)

    def _close_if_idle(self, requests: int) -> None:
        """Close the connection if there was no request meanwhile, as servers do."""
        if self._requests == requests and not self._closing:
            self._closing = True
            self._protocol.connection_lost(None)

    def _reset(self) -> None:
        if not self._closing and self._network.alive:
            self._closing = True
            self._protocol.connection_lost(ConnectionResetError(104, "Connection reset by peer"))

"""Sends responses: whole, or damaged by a fault."""

import zlib
from dataclasses import replace

import msgspec
from aiohttp import web

from .clock import WorldClock
from .faults import Fault
from .profile import Profile
from .response import JSON, Response, error

CHUNK = 64 * 1024
"""Bytes per write of a streamed body."""

_GZIP = zlib.MAX_WBITS | 16  # selects the gzip format in zlib


def early_answer(fault: Fault, profile: Profile, request_id: str) -> Response | None:
    """Return the response of a fault that bypasses the endpoint, or None for other faults."""
    match fault.kind:
        case "refuse" if fault.body is None:
            bodies = profile.error_bodies if fault.status >= 500 else "json"
            headers = dict(fault.headers)
            return error(fault.status, request_id=request_id, bodies=bodies, headers=headers)
        case "refuse" | "redirect" | "garble" | "hang_up":
            headers = {"Content-Type": JSON, **dict(fault.headers)}
            return Response(status=fault.status, body=fault.body or b"", headers=headers)
        case _:
            return None


def apply_fault(fault: Fault, response: Response) -> Response:
    """Return the response as the fault changes it; one that is cut off serves no session."""
    if fault.kind in {"cut_short", "stall"}:
        return replace(response, served=())
    if fault.kind == "malformed_session" and response.served:
        decoded = msgspec.json.decode(response.body)
        first = {**decoded["data"][0], **dict(fault.replace)}
        decoded["data"][0] = {name: value for name, value in first.items() if value is not ...}
        return replace(response, body=msgspec.json.encode(decoded))
    return response


async def deliver(
    http: web.BaseRequest, response: Response, fault: Fault | None, clock: WorldClock, *, gzip: bool
) -> web.StreamResponse:
    """Send the response and return the object that aiohttp expects.

    Args:
        http: The request.
        response: The response to send.
        fault: The fault to apply while sending.
        clock: The clock to wait on.
        gzip: Whether to compress the response for a client that accepts gzip.
    """
    body, headers = response.body, dict(response.headers)
    kind = fault.kind if fault else "serve"
    if fault and kind == "oversize":
        return await _send_oversize(http, response, fault, clock)
    if gzip and "gzip" in http.headers.get("Accept-Encoding", ""):
        compressor = zlib.compressobj(level=1, wbits=_GZIP)
        body, headers["Content-Encoding"] = compressor.compress(body) + compressor.flush(), "gzip"
    if fault and kind == "slow":
        await clock.sleep(fault.seconds)
    if fault and kind in {"hang_up", "cut_short", "stall"}:
        head = web.StreamResponse(status=response.status, headers=headers)
        head.content_length = len(body)
        if kind != "hang_up":
            await head.prepare(http)
            part = len(body) // 2 if kind == "stall" else min(fault.size, len(body) - 1)
            await head.write(body[:part])
            await clock.sleep(fault.seconds)
        if http.transport is not None:
            http.transport.close()
        return head
    return web.Response(status=response.status, body=body, headers=headers)


async def _send_oversize(
    http: web.BaseRequest, response: Response, fault: Fault, clock: WorldClock
) -> web.StreamResponse:
    headers = dict(response.headers)
    compressor = zlib.compressobj(wbits=_GZIP) if fault.gzip else None
    if compressor:
        headers["Content-Encoding"] = "gzip"
    stream = web.StreamResponse(status=response.status, headers=headers)
    await stream.prepare(http)
    # JSON allows trailing spaces, so only the size of the page is wrong.
    spaces = b" " * CHUNK
    left = fault.size
    chunk = response.body
    while chunk:
        left -= len(chunk)
        compressed = compressor.compress(chunk) if compressor else chunk
        if compressed:
            await stream.write(compressed)
        # Compressed spaces are so few bytes that write() alone would not yield.
        await clock.sleep(0)
        chunk = spaces[: max(left, 0)]
    if compressor:
        await stream.write(compressor.flush())
    await stream.write_eof()
    return stream

"""Sends responses: whole, or damaged by a fault."""

import zlib
from dataclasses import replace

import msgspec
from aiohttp import web

from .answer import JSON, Answer, error
from .clock import WorldClock
from .faults import Fault
from .profile import Profile

CHUNK = 64 * 1024
"""Bytes per write of a streamed body."""

_GZIP = zlib.MAX_WBITS | 16  # selects the gzip format in zlib


def early_answer(fault: Fault, profile: Profile, request_id: str) -> Answer | None:
    """Return the response of a fault that bypasses the endpoint, or None for other faults."""
    match fault.kind:
        case "refuse" if fault.body is None:
            bodies = profile.error_bodies if fault.status >= 500 else "json"
            headers = dict(fault.headers)
            return error(fault.status, request_id=request_id, bodies=bodies, headers=headers)
        case "refuse" | "redirect" | "garble" | "hang_up":
            headers = {"Content-Type": JSON, **dict(fault.headers)}
            return Answer(status=fault.status, body=fault.body or b"", headers=headers)
        case _:
            return None


def apply_fault(fault: Fault, answer: Answer) -> Answer:
    """Return the response as the fault changes it; one that is cut off serves no session."""
    if fault.kind in {"cut_short", "stall"}:
        return replace(answer, served=())
    if fault.kind == "malformed_session" and answer.served:
        decoded = msgspec.json.decode(answer.body)
        first = {**decoded["data"][0], **dict(fault.replace)}
        decoded["data"][0] = {name: value for name, value in first.items() if value is not ...}
        return replace(answer, body=msgspec.json.encode(decoded))
    return answer


async def deliver(
    http: web.BaseRequest, answer: Answer, fault: Fault | None, clock: WorldClock, *, gzip: bool
) -> web.StreamResponse:
    """Send the response and return the object that aiohttp expects.

    Args:
        http: The request.
        answer: The response to send.
        fault: The fault to apply while sending.
        clock: The clock to wait on.
        gzip: Whether to compress the response for a client that accepts gzip.
    """
    body, headers = answer.body, dict(answer.headers)
    kind = fault.kind if fault else "serve"
    if fault and kind == "oversize":
        return await _send_oversize(http, answer, fault, clock)
    if gzip and "gzip" in http.headers.get("Accept-Encoding", ""):
        compressor = zlib.compressobj(level=1, wbits=_GZIP)
        body, headers["Content-Encoding"] = compressor.compress(body) + compressor.flush(), "gzip"
    if fault and kind == "slow":
        await clock.sleep(fault.seconds)
    if fault and kind in {"hang_up", "cut_short", "stall"}:
        head = web.StreamResponse(status=answer.status, headers=headers)
        head.content_length = len(body)
        if kind != "hang_up":
            await head.prepare(http)
            part = len(body) // 2 if kind == "stall" else min(fault.size, len(body) - 1)
            await head.write(body[:part])
            await clock.sleep(fault.seconds)
        if http.transport is not None:
            http.transport.close()
        return head
    return web.Response(status=answer.status, body=body, headers=headers)


async def _send_oversize(
    http: web.BaseRequest, answer: Answer, fault: Fault, clock: WorldClock
) -> web.StreamResponse:
    headers = dict(answer.headers)
    compressor = zlib.compressobj(wbits=_GZIP) if fault.gzip else None
    if compressor:
        headers["Content-Encoding"] = "gzip"
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(http)
    # JSON allows trailing spaces, so only the size of the page is wrong.
    spaces = b" " * CHUNK
    left = fault.size
    chunk = answer.body
    while chunk:
        left -= len(chunk)
        compressed = compressor.compress(chunk) if compressor else chunk
        if compressed:
            await response.write(compressed)
        # Compressed spaces are so few bytes that write() alone would not yield.
        await clock.sleep(0)
        chunk = spaces[: max(left, 0)]
    if compressor:
        await response.write(compressor.flush())
    await response.write_eof()
    return response

"""How an answer reaches the socket: whole, or as a fault would have it."""

import zlib
from dataclasses import replace

import msgspec
from aiohttp import web

from .answer import JSON, Answer, error
from .clock import WorldClock
from .faults import Fault
from .profile import Profile

CHUNK = 64 * 1024
"""Bytes sent at once of a body that is streamed."""

_GZIP = zlib.MAX_WBITS | 16  # zlib's word for "with gzip's header"


def instead(fault: Fault, profile: Profile, request_id: str) -> Answer | None:
    """Return the answer of a fault that lets no request through, or None for other faults."""
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


def damaged(fault: Fault, answer: Answer) -> Answer:
    """Return the answer as the fault leaves it: what is not received whole was not served."""
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
    """Send the answer and return what aiohttp wants returned.

    Args:
        http: The request.
        answer: What to send.
        fault: How to send it.
        clock: What waits.
        gzip: Whether to compress it, if the client asked for that.
    """
    body, headers = answer.body, dict(answer.headers)
    kind = fault.kind if fault else "serve"
    if fault and kind == "oversize":
        return await _send_blown_up(http, answer, fault, clock)
    if gzip and "gzip" in http.headers.get("Accept-Encoding", ""):
        packer = zlib.compressobj(level=1, wbits=_GZIP)
        body, headers["Content-Encoding"] = packer.compress(body) + packer.flush(), "gzip"
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


async def _send_blown_up(
    http: web.BaseRequest, answer: Answer, fault: Fault, clock: WorldClock
) -> web.StreamResponse:
    headers = dict(answer.headers)
    packer = zlib.compressobj(wbits=_GZIP) if fault.gzip else None
    if packer:
        headers["Content-Encoding"] = "gzip"
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(http)
    # Blanks after JSON are JSON still, so only the size of the page is wrong.
    blanks = b" " * CHUNK
    left = fault.size
    chunk = answer.body
    while chunk:
        left -= len(chunk)
        packed = packer.compress(chunk) if packer else chunk
        if packed:
            await response.write(packed)
        await clock.sleep(0)  # compressed blanks are few bytes: writing alone would not give way
        chunk = blanks[: max(left, 0)]
    if packer:
        await response.write(packer.flush())
    await response.write_eof()
    return response

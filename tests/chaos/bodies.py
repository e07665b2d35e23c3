"""Troubles of bodies: compression, JSON, and the emulator's own faults."""

import gzip
import zlib

from coachstream import (
    AnswerTimeoutError,
    ConnectionLostError,
    PageTooLargeError,
    RateLimitError,
    RedirectError,
    ServiceUnavailableError,
    UndecodableError,
)
from coachstream.emulator import (
    Fault,
    cut_short,
    empty_page,
    garble,
    hang_up,
    malformed_session,
    oversize,
    redirect,
    refuse,
    serve,
    slow,
    stall,
)
from tests.chaos.connections import TROUBLES as _EARLIER
from tests.chaos.connections import trouble
from tests.chaos.proxy import Call, Trouble

_FIRST = len(_EARLIER)

MAX_PAGE_BYTES = 1_000_000
"""The ``max_page_bytes`` of the clients in these tests."""


async def _send_encoded(call: Call, encoding: bytes, body: bytes) -> None:
    headers = b"Content-Type: application/json\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n"
    await call.ok(headers % (encoding, len(body)), body)


async def _send_plain(call: Call, body: bytes, kind: bytes = b"application/json") -> None:
    await call.ok(b"Content-Type: %b\r\nContent-Length: %d\r\n" % (kind, len(body)), body)


# Compression


@trouble(ConnectionLostError)
async def gzip_that_is_not_compressed(call: Call) -> None:
    await _send_encoded(call, b"gzip", (await call.real_response(plain=True)).body)


@trouble(ConnectionLostError)
async def gzip_with_a_wrong_checksum(call: Call) -> None:
    body = bytearray(gzip.compress((await call.real_response(plain=True)).body))
    body[-8] ^= 1
    await _send_encoded(call, b"gzip", bytes(body))


@trouble(UndecodableError)
async def gzip_cut_off(call: Call) -> None:
    body = gzip.compress((await call.real_response(plain=True)).body)
    await _send_encoded(call, b"gzip", body[: len(body) // 2])


@trouble(None)
async def deflate(call: Call) -> None:
    await _send_encoded(
        call, b"deflate", zlib.compress((await call.real_response(plain=True)).body)
    )


@trouble(ConnectionLostError)
async def deflate_cut_off(call: Call) -> None:
    body = zlib.compress((await call.real_response(plain=True)).body)
    await _send_encoded(call, b"deflate", body[: len(body) // 2])


@trouble(ConnectionLostError)
async def brotli_that_was_not_requested(call: Call) -> None:
    await _send_encoded(call, b"br", (await call.real_response(plain=True)).body)


@trouble(None)
async def an_unknown_encoding(call: Call) -> None:
    await _send_encoded(call, b"x-unknown", (await call.real_response(plain=True)).body)


@trouble(PageTooLargeError)
async def a_compression_bomb(call: Call) -> None:
    await _send_encoded(call, b"gzip", gzip.compress(b" " * (20 * MAX_PAGE_BYTES), compresslevel=1))
    await call.until_client_closes()


# JSON


@trouble(UndecodableError)
async def json_cut_off(call: Call) -> None:
    body = (await call.real_response(plain=True)).body
    await _send_plain(call, body[: len(body) // 2])


@trouble(UndecodableError)
async def json_of_another_shape(call: Call) -> None:
    await _send_plain(call, b'[{"data": "' + call.head.hex().encode() + b'"}]')


@trouble(UndecodableError)
async def an_empty_body(call: Call) -> None:
    await _send_plain(call, b"")


@trouble(UndecodableError)
async def json_nested_too_deep(call: Call) -> None:
    await _send_plain(call, b'{"data":' + b"[" * 100_000)


@trouble(UndecodableError)
async def an_error_page_with_200_that_repeats_the_request(call: Call) -> None:
    page = b"<html><h1>Something went wrong</h1><pre>" + call.head + b"</pre></html>"
    await _send_plain(call, page, b"text/html")


@trouble(ServiceUnavailableError)
async def an_error_page_with_503_that_repeats_the_request(call: Call) -> None:
    page = b"<html>" + call.head + b"</html>"
    echoed = call.head.replace(b"\r\n", b" ")[-2000:]
    head = b"HTTP/1.1 503 Later\r\nX-Echo: %b\r\nContent-Length: %d\r\n\r\n"
    await call.send(head % (echoed, len(page)), page)


@trouble(None)
async def json_as_text_with_a_byte_order_mark(call: Call) -> None:
    body = (await call.real_response(plain=True)).body
    await _send_plain(call, b"\xef\xbb\xbf" + body + b"\r\n", b"text/plain; charset=latin-1")


# The emulator's own faults


def _add_emulator_fault(name: str, fault: Fault, error: type[Exception] | None) -> None:
    async def run(call: Call) -> None:
        call.proxy.api.faults.append(fault)
        await call.pass_on()

    run.__name__ = f"emulator_{name}"
    trouble(error)(run)  # type: ignore[arg-type]  # all are CoachStreamErrors


for _name, _fault, _error in (
    ("serve", serve(), None),
    ("refuse_429", refuse(429, retry_after=7.25), RateLimitError),
    ("refuse_503", refuse(503), ServiceUnavailableError),
    ("redirect", redirect("https://elsewhere.example/"), RedirectError),
    ("garble", garble(), UndecodableError),
    ("hang_up", hang_up(), ConnectionLostError),
    ("cut_short", cut_short(10), ConnectionLostError),
    ("stall", stall(), AnswerTimeoutError),
    ("slow", slow(30), None),
    ("oversize", oversize(2 * MAX_PAGE_BYTES), PageTooLargeError),
    ("oversize_gzip", oversize(20 * MAX_PAGE_BYTES, gzip=True), PageTooLargeError),
    ("empty_page", empty_page(), None),
    ("malformed_session", malformed_session(), None),
):
    _add_emulator_fault(_name, _fault, _error)

TROUBLES: list[Trouble] = _EARLIER[_FIRST:]

"""Troubles of HTTP messages: lengths, chunks, statuses, headers, redirects."""

from coachstream import (
    AnswerTimeoutError,
    ApiError,
    ConnectionLostError,
    PageTooLargeError,
    RedirectError,
    ServerError,
    ServiceUnavailableError,
    UndecodableError,
)
from tests.chaos.connections import TROUBLES as _EARLIER
from tests.chaos.connections import trouble
from tests.chaos.proxy import Call, Trouble

_FIRST = len(_EARLIER)


def _length(size: int) -> bytes:
    return b"Content-Length: %d\r\n" % size


# Lengths


@trouble(ConnectionLostError)
async def length_too_long_and_closed(call: Call) -> None:
    response = await call.real_response()
    await call.ok(response.content + _length(len(response.body) + 9), response.body)
    call.close()


@trouble(AnswerTimeoutError)
async def length_too_long_and_silence(call: Call) -> None:
    response = await call.real_response()
    await call.ok(response.content + _length(len(response.body) + 9), response.body)
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def length_too_short(call: Call) -> None:
    response = await call.real_response(plain=True)
    await call.ok(response.content + _length(len(response.body) - 9), response.body)
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def a_negative_length(call: Call) -> None:
    response = await call.real_response()
    await call.ok(response.content + _length(-1), response.body)
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def a_length_that_is_no_number(call: Call) -> None:
    response = await call.real_response()
    await call.ok(response.content + b"Content-Length: many\r\n", response.body)
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def two_lengths(call: Call) -> None:
    response = await call.real_response()
    lengths = _length(len(response.body)) + _length(len(response.body) - 9)
    await call.ok(response.content + lengths, response.body)
    await call.until_client_closes()


@trouble(PageTooLargeError)
async def a_huge_length(call: Call) -> None:
    response = await call.real_response()
    await call.ok(response.content + _length(10**18), response.body)
    await call.until_client_closes()


@trouble(None)
async def no_length_until_closed(call: Call) -> None:
    response = await call.real_response()
    await call.send(b"HTTP/1.0 200 OK\r\n", response.content, b"\r\n", response.body)
    call.close()


# Chunks


def _chunked(body: bytes, *, ending: bytes = b"0\r\n\r\n", extension: bytes = b"") -> bytes:
    half = len(body) // 2
    parts = (body[:half], body[half:])
    chunks = [b"%X%b\r\n%b\r\n" % (len(part), extension, part) for part in parts]
    return b"".join((*chunks, ending))


_CHUNKED = b"Transfer-Encoding: chunked\r\n"


@trouble(None)
async def chunks_with_extensions_and_trailers(call: Call) -> None:
    response = await call.real_response()
    ending = b"0;last\r\nX-Trailer: 1\r\n\r\n"
    body = _chunked(response.body, ending=ending, extension=b';name="value"')
    await call.ok(response.content + _CHUNKED, body)


@trouble(ConnectionLostError)
async def a_chunk_size_that_is_no_number(call: Call) -> None:
    response = await call.real_response()
    await call.ok(response.content + _CHUNKED, b"zz\r\n" + response.body)
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def a_chunk_longer_than_its_size(call: Call) -> None:
    response = await call.real_response()
    await call.ok(response.content + _CHUNKED, b"5\r\n" + response.body + b"\r\n0\r\n\r\n")
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def chunks_without_end_and_closed(call: Call) -> None:
    response = await call.real_response()
    await call.ok(response.content + _CHUNKED, _chunked(response.body, ending=b""))
    call.close()


@trouble(AnswerTimeoutError)
async def chunks_without_end_and_silence(call: Call) -> None:
    response = await call.real_response()
    await call.ok(response.content + _CHUNKED, _chunked(response.body, ending=b""))
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def chunked_and_a_length(call: Call) -> None:
    response = await call.real_response()
    await call.ok(response.content + _CHUNKED + _length(3), _chunked(response.body))
    await call.until_client_closes()


# Statuses


async def _status(call: Call, line: bytes, body: bytes = b"") -> None:
    await call.send(b"HTTP/1.1 ", line, b"\r\n", _length(len(body)), b"\r\n", body)


@trouble(UndecodableError)
async def status_204(call: Call) -> None:
    await call.send(b"HTTP/1.1 204 No Content\r\n\r\n")


@trouble(ConnectionLostError)
async def status_204_with_a_body(call: Call) -> None:
    response = await call.real_response(plain=True)
    head = b"HTTP/1.1 204 No Content\r\n" + response.content + _length(len(response.body))
    await call.send(head, b"\r\n", response.body)
    await call.until_client_closes()


@trouble(RedirectError)
async def status_304(call: Call) -> None:
    await call.send(b"HTTP/1.1 304 Not Modified\r\n\r\n")


@trouble(ApiError)
async def status_418_that_repeats_the_request(call: Call) -> None:
    await _status(call, b"418 I'm a teapot", call.head)


@trouble(ServerError)
async def status_599(call: Call) -> None:
    await _status(call, b"599 Odd", call.head)


@trouble(None)
async def early_hints_come_first(call: Call) -> None:
    await call.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
    await call.pass_on()


@trouble(None)
async def an_unsolicited_second_response(call: Call) -> None:
    """It would end a stream if it were taken for the response to the next request."""
    await call.pass_on()
    body = b'{"data":[],"pagination":{"endCursor":"","hasNextPage":false}}'
    await _status(call, b"200 OK", body)
    await call.until_client_closes()


# Headers


@trouble(ConnectionLostError)
async def a_header_without_end(call: Call) -> None:
    response = await call.real_response()
    await call.ok(b"X-Long: " + b"x" * 100_000 + b"\r\n" + response.content, response.body)
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def a_long_header_that_repeats_the_request(call: Call) -> None:
    echoed = call.head.replace(b"\r\n", b" ")
    await call.ok(b"X-Echo: " + echoed + b"x" * 100_000 + b"\r\n", b"")
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def a_line_in_the_headers_that_repeats_the_request(call: Call) -> None:
    await call.ok(call.head.replace(b"\r\n", b" ").replace(b":", b" ") + b"\r\n", b"")
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def an_echo_of_the_request(call: Call) -> None:
    await call.send(call.head)
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def an_echo_of_the_header_with_the_token(call: Call) -> None:
    (line,) = (one for one in call.head.split(b"\r\n") if one.startswith(b"Authorization"))
    await call.send(line, b"\r\n\r\n")
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def a_body_and_no_headers(call: Call) -> None:
    response = await call.real_response(plain=True)
    await call.send(response.body)
    call.close()


@trouble(ServiceUnavailableError)
async def an_error_with_bytes_that_are_not_text(call: Call) -> None:
    head = b"HTTP/1.1 503 Sp\xe4ter\r\nRequest-Id: \xff\xfe\r\nX-Odd: \xe4\r\n"
    await call.send(head, b"Content-Length: 4\r\n\r\n\xff\xfe\x00!")


@trouble(None)
async def a_request_id_that_repeats_the_token(call: Call) -> None:
    response = await call.real_response()
    echoed = call.head.replace(b"\r\n", b" ")[-2000:]
    odd = b"Request-Id: " + echoed + b"\xff\r\n" + _length(len(response.body))
    headers = response.content.replace(b"Request-Id", b"X-Id")
    await call.ok(headers + odd, response.body)


# Redirects


def _to(location: bytes) -> bytes:
    return b"Location: %b\r\nContent-Length: 0\r\n\r\n" % location


@trouble(RedirectError)
async def redirected_to_the_same_place(call: Call) -> None:
    await call.send(b"HTTP/1.1 302 Found\r\n", _to(call.head.split()[1]))


@trouble(RedirectError)
async def redirected_elsewhere(call: Call) -> None:
    await call.send(b"HTTP/1.1 307 There\r\n", _to(call.proxy.redirect_target.url.encode()))


@trouble(RedirectError)
async def redirected_permanently_with_the_request_in_the_address(call: Call) -> None:
    echoed = call.proxy.redirect_target.url.encode() + call.head.replace(
        b"\r\n", b"%0d%0a"
    ).replace(b" ", b"+")
    await call.send(b"HTTP/1.1 308 Permanent Redirect\r\n", _to(echoed))


@trouble(RedirectError)
async def redirected_without_a_location(call: Call) -> None:
    await _status(call, b"301 Somewhere")


TROUBLES: list[Trouble] = _EARLIER[_FIRST:]

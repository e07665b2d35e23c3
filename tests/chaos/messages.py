"""What happens to messages: lengths, chunks, statuses, headers, redirects."""

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
from tests.chaos.connections import TROUBLES as _BEFORE
from tests.chaos.connections import trouble
from tests.chaos.gate import Call, Trouble

_FIRST = len(_BEFORE)


def _length(size: int) -> bytes:
    return b"Content-Length: %d\r\n" % size


# Lengths


@trouble(ConnectionLostError)
async def length_too_long_and_closed(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(answer.content + _length(len(answer.body) + 9), answer.body)
    call.close()


@trouble(AnswerTimeoutError)
async def length_too_long_and_silence(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(answer.content + _length(len(answer.body) + 9), answer.body)
    await call.until_left()


@trouble(ConnectionLostError)
async def length_too_short(call: Call) -> None:
    answer = await call.true_answer(plain=True)
    await call.ok(answer.content + _length(len(answer.body) - 9), answer.body)
    await call.until_left()


@trouble(ConnectionLostError)
async def length_below_zero(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(answer.content + _length(-1), answer.body)
    await call.until_left()


@trouble(ConnectionLostError)
async def length_of_letters(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(answer.content + b"Content-Length: many\r\n", answer.body)
    await call.until_left()


@trouble(ConnectionLostError)
async def two_lengths(call: Call) -> None:
    answer = await call.true_answer()
    lengths = _length(len(answer.body)) + _length(len(answer.body) - 9)
    await call.ok(answer.content + lengths, answer.body)
    await call.until_left()


@trouble(PageTooLargeError)
async def length_beyond_reason(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(answer.content + _length(10**18), answer.body)
    await call.until_left()


@trouble(None)
async def no_length_until_closed(call: Call) -> None:
    answer = await call.true_answer()
    await call.send(b"HTTP/1.0 200 OK\r\n", answer.content, b"\r\n", answer.body)
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
    answer = await call.true_answer()
    ending = b"0;last\r\nX-Trailer: 1\r\n\r\n"
    body = _chunked(answer.body, ending=ending, extension=b';name="value"')
    await call.ok(answer.content + _CHUNKED, body)


@trouble(ConnectionLostError)
async def a_chunk_of_no_number(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(answer.content + _CHUNKED, b"zz\r\n" + answer.body)
    await call.until_left()


@trouble(ConnectionLostError)
async def a_chunk_longer_than_it_says(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(answer.content + _CHUNKED, b"5\r\n" + answer.body + b"\r\n0\r\n\r\n")
    await call.until_left()


@trouble(ConnectionLostError)
async def chunks_without_end_and_closed(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(answer.content + _CHUNKED, _chunked(answer.body, ending=b""))
    call.close()


@trouble(AnswerTimeoutError)
async def chunks_without_end_and_silence(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(answer.content + _CHUNKED, _chunked(answer.body, ending=b""))
    await call.until_left()


@trouble(ConnectionLostError)
async def chunked_and_a_length(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(answer.content + _CHUNKED + _length(3), _chunked(answer.body))
    await call.until_left()


# Statuses


async def _status(call: Call, line: bytes, body: bytes = b"") -> None:
    await call.send(b"HTTP/1.1 ", line, b"\r\n", _length(len(body)), b"\r\n", body)


@trouble(UndecodableError)
async def status_204(call: Call) -> None:
    await call.send(b"HTTP/1.1 204 No Content\r\n\r\n")


@trouble(ConnectionLostError)
async def status_204_with_a_body(call: Call) -> None:
    answer = await call.true_answer(plain=True)
    head = b"HTTP/1.1 204 No Content\r\n" + answer.content + _length(len(answer.body))
    await call.send(head, b"\r\n", answer.body)
    await call.until_left()


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
async def hints_come_first(call: Call) -> None:
    await call.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
    await call.pass_on()


@trouble(None)
async def a_second_answer_that_nobody_asked_for(call: Call) -> None:
    """It would end a stream, if it were taken for the answer to the next request."""
    await call.pass_on()
    body = b'{"data":[],"pagination":{"endCursor":"","hasNextPage":false}}'
    await _status(call, b"200 OK", body)
    await call.until_left()


# Headers


@trouble(ConnectionLostError)
async def a_header_without_end(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(b"X-Long: " + b"x" * 100_000 + b"\r\n" + answer.content, answer.body)
    await call.until_left()


@trouble(ConnectionLostError)
async def a_long_header_that_repeats_the_request(call: Call) -> None:
    told = call.head.replace(b"\r\n", b" ")
    await call.ok(b"X-Echo: " + told + b"x" * 100_000 + b"\r\n", b"")
    await call.until_left()


@trouble(ConnectionLostError)
async def a_line_in_the_headers_that_repeats_the_request(call: Call) -> None:
    await call.ok(call.head.replace(b"\r\n", b" ").replace(b":", b" ") + b"\r\n", b"")
    await call.until_left()


@trouble(ConnectionLostError)
async def an_echo_of_the_request(call: Call) -> None:
    await call.send(call.head)
    await call.until_left()


@trouble(ConnectionLostError)
async def an_echo_of_the_header_with_the_token(call: Call) -> None:
    (line,) = (one for one in call.head.split(b"\r\n") if one.startswith(b"Authorization"))
    await call.send(line, b"\r\n\r\n")
    await call.until_left()


@trouble(ConnectionLostError)
async def a_body_and_no_headers(call: Call) -> None:
    answer = await call.true_answer(plain=True)
    await call.send(answer.body)
    call.close()


@trouble(ServiceUnavailableError)
async def a_refusal_with_bytes_that_are_no_text(call: Call) -> None:
    head = b"HTTP/1.1 503 Sp\xe4ter\r\nRequest-Id: \xff\xfe\r\nX-Odd: \xe4\r\n"
    await call.send(head, b"Content-Length: 4\r\n\r\n\xff\xfe\x00!")


@trouble(None)
async def a_request_id_that_repeats_the_token(call: Call) -> None:
    answer = await call.true_answer()
    told = call.head.replace(b"\r\n", b" ")[-2000:]
    odd = b"Request-Id: " + told + b"\xff\r\n" + _length(len(answer.body))
    headers = answer.content.replace(b"Request-Id", b"X-Id")
    await call.ok(headers + odd, answer.body)


# Redirects


def _to(location: bytes) -> bytes:
    return b"Location: %b\r\nContent-Length: 0\r\n\r\n" % location


@trouble(RedirectError)
async def redirected_to_the_same_place(call: Call) -> None:
    await call.send(b"HTTP/1.1 302 Found\r\n", _to(call.head.split()[1]))


@trouble(RedirectError)
async def redirected_elsewhere(call: Call) -> None:
    await call.send(b"HTTP/1.1 307 There\r\n", _to(call.gate.trap.url.encode()))


@trouble(RedirectError)
async def redirected_for_good_with_the_request_in_the_address(call: Call) -> None:
    told = call.gate.trap.url.encode() + call.head.replace(b"\r\n", b"%0d%0a").replace(b" ", b"+")
    await call.send(b"HTTP/1.1 308 For good\r\n", _to(told))


@trouble(RedirectError)
async def redirected_nowhere(call: Call) -> None:
    await _status(call, b"301 Somewhere")


TROUBLES: list[Trouble] = _BEFORE[_FIRST:]

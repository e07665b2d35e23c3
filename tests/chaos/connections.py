"""What happens to connections: names, certificates, resets, silence, and time."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from coachstream import (
    AnswerTimeoutError,
    CoachStreamError,
    ConnectError,
    ConnectionLostError,
    ServiceUnavailableError,
)
from tests.chaos.gate import Call, Resolver, Stage, Trouble
from tests.support.virtual_time import pass_time

TROUBLES: list[Trouble] = []

Play = Callable[[Any], Awaitable[Any]]


def trouble(
    error: type[CoachStreamError] | None,
    stage: Stage = "answer",
    *,
    may_cost: type[CoachStreamError] | None = None,
) -> Callable[[Play], Play]:
    """Enter a function in the list, with what the library makes of it."""

    def enter(play: Play) -> Play:
        name = play.__name__
        TROUBLES.append(Trouble(name, play, error, stage, may_cost))
        return play

    return enter


# Before there is a connection


@trouble(ConnectError, "resolve")
async def the_name_is_unknown(_: Resolver) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@trouble(AnswerTimeoutError, "resolve")
async def the_name_is_looked_up_for_ever(_: Resolver) -> None:
    await asyncio.Event().wait()


@trouble(None, "resolve")
async def the_name_is_found_late(resolver: Resolver) -> object:
    await pass_time(4.0)
    return resolver.found()


@trouble(ConnectError, "resolve")
async def nobody_listens(resolver: Resolver) -> object:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return resolver.address(free.getsockname()[1])


@trouble(ConnectError, "resolve")
async def the_network_can_not_be_reached(_: Resolver) -> None:
    raise OSError(errno.ENETUNREACH, "Network is unreachable")


@trouble(ConnectionLostError, "accept")
async def reset_when_accepted(call: Call) -> None:
    call.reset()


@trouble(ConnectionLostError, "accept")
async def closed_when_accepted(call: Call) -> None:
    call.close()


@trouble(ConnectionLostError, "accept")
async def greeted_as_another_protocol(call: Call) -> None:
    await call.send(b"220 mail.example ESMTP\r\n")
    await call.until_left()


async def _handshake_fails(_: Call) -> None:
    raise AssertionError("the gate only changes the certificate")


TROUBLES += [
    Trouble(name, _handshake_fails, ConnectError, "tls")
    for name in (
        "certificate_expired",
        "certificate_of_another_host",
        "certificate_of_an_unknown_authority",
    )
]


# While the answer is waited for


@trouble(AnswerTimeoutError)
async def silence(call: Call) -> None:
    await call.until_left()


@trouble(ConnectionLostError)
async def reset_after_the_request(call: Call) -> None:
    call.reset()


@trouble(ConnectionLostError)
async def half_closed_after_the_request(call: Call) -> None:
    call.close_half()
    await call.until_left()


@trouble(AnswerTimeoutError)
async def headers_byte_by_byte(call: Call) -> None:
    answer = await call.true_answer()
    await call.drip(answer.status + b"\r\n" + answer.headers + b"\r\n\r\n", size=1, every=4.0)
    await call.until_left()


@trouble(ConnectionLostError)
async def reset_in_the_headers(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
    call.reset()


@trouble(ConnectionLostError)
async def closed_in_the_headers(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
    call.close()


# In the body


async def _half(call: Call) -> None:
    answer = await call.true_answer()
    length = b"Content-Length: %d\r\n" % len(answer.body)
    await call.ok(answer.content + length, answer.body[: len(answer.body) // 2])


@trouble(AnswerTimeoutError)
async def body_byte_by_byte(call: Call) -> None:
    answer = await call.true_answer(plain=True)
    await call.ok(answer.content + b"Content-Length: %d\r\n" % (1000 + len(answer.body)), b"")
    await call.drip(answer.body + b" " * 1000, size=1, every=4.0)
    await call.until_left()


@trouble(None)
async def body_in_drips_but_in_time(call: Call) -> None:
    answer = await call.true_answer()
    await call.ok(answer.content + b"Content-Length: %d\r\n" % len(answer.body), b"")
    await call.drip(answer.body, size=1 + len(answer.body) // 30, every=1.0)


@trouble(ServiceUnavailableError)
async def a_refusal_whose_body_never_ends(call: Call) -> None:
    await call.send(b"HTTP/1.1 503 Later\r\nContent-Length: 9999\r\n\r\n")
    await call.drip(b"soon " * 400, size=5, every=1.0)


@trouble(AnswerTimeoutError)
async def half_a_body_and_silence(call: Call) -> None:
    await _half(call)
    await call.until_left()


@trouble(ConnectionLostError)
async def reset_in_the_body(call: Call) -> None:
    await _half(call)
    call.reset()


@trouble(ConnectionLostError)
async def closed_in_the_body(call: Call) -> None:
    await _half(call)
    call.close()


@trouble(ConnectionLostError)
async def half_closed_in_the_body(call: Call) -> None:
    await _half(call)
    call.close_half()
    await call.until_left()


# After the answer, on a connection that was to be kept


@trouble(None)
async def closed_after_the_answer(call: Call) -> None:
    await call.pass_on()
    call.close()


@trouble(None)
async def half_closed_after_the_answer(call: Call) -> None:
    await call.pass_on()
    call.close_half()
    await call.until_left()


@trouble(None, may_cost=ConnectionLostError)
async def reset_after_the_answer(call: Call) -> None:
    await call.pass_on()
    await call.wait(0.001)  # a reset would take back what has not been read
    call.reset()


@trouble(None)
async def a_timeout_told_on_the_idle_connection(call: Call) -> None:
    await call.pass_on()
    await call.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    call.close()


# The time of day


@trouble(None)
async def the_clock_leaps_three_days_ahead(call: Call) -> None:
    call.gate.clock.leapt += timedelta(days=3)
    await call.pass_on()


@trouble(None)
async def the_clock_leaps_forty_days_ahead(call: Call) -> None:
    call.gate.clock.leapt += timedelta(days=40)
    await call.pass_on()


@trouble(None)
async def the_clock_leaps_a_year_back(call: Call) -> None:
    call.gate.clock.leapt -= timedelta(days=365)
    await call.pass_on()


@trouble(ServiceUnavailableError)
async def the_clock_leaps_while_a_wait_is_asked_for(call: Call) -> None:
    date = f"{call.gate.clock.now():%a, %d %b %Y %H:%M:%S} GMT".encode()
    await call.send(
        b"HTTP/1.1 503 Later\r\nDate: %b\r\nRetry-After: %b\r\nContent-Length: 0\r\n\r\n"
        % (date, date)
    )
    call.gate.clock.leapt -= timedelta(days=10)

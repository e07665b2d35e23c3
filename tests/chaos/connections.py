"""Troubles of connections: DNS, certificates, resets, silence, and clocks."""

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
    UntrustedCertificateError,
)
from tests.chaos.proxy import Call, Resolver, Stage, Trouble
from tests.support.virtual_time import pass_time

TROUBLES: list[Trouble] = []

Play = Callable[[Any], Awaitable[Any]]


def trouble(
    error: type[CoachStreamError] | None,
    stage: Stage = "response",
    *,
    next_error: type[CoachStreamError] | None = None,
) -> Callable[[Play], Play]:
    """Add a function to the list, with the error that the library reports."""

    def add(run: Play) -> Play:
        name = run.__name__
        TROUBLES.append(Trouble(name, run, error, stage, next_error))
        return run

    return add


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
async def no_server_listens(resolver: Resolver) -> object:
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
    await call.until_client_closes()


async def _handshake_fails(_: Call) -> None:
    raise AssertionError("the proxy only changes the certificate")


TROUBLES += [
    Trouble(name, _handshake_fails, UntrustedCertificateError, "tls")
    for name in (
        "certificate_expired",
        "certificate_of_another_host",
        "certificate_of_an_unknown_authority",
    )
]


# Before the response


@trouble(AnswerTimeoutError)
async def silence(call: Call) -> None:
    await call.until_client_closes()


@trouble(ConnectionLostError)
async def reset_after_the_request(call: Call) -> None:
    call.reset()


@trouble(ConnectionLostError)
async def half_closed_after_the_request(call: Call) -> None:
    call.close_half()
    await call.until_client_closes()


@trouble(AnswerTimeoutError)
async def headers_byte_by_byte(call: Call) -> None:
    response = await call.real_response()
    await call.drip(response.status + b"\r\n" + response.headers + b"\r\n\r\n", size=1, every=4.0)
    await call.until_client_closes()


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
    response = await call.real_response()
    length = b"Content-Length: %d\r\n" % len(response.body)
    await call.ok(response.content + length, response.body[: len(response.body) // 2])


@trouble(AnswerTimeoutError)
async def body_byte_by_byte(call: Call) -> None:
    response = await call.real_response(plain=True)
    await call.ok(response.content + b"Content-Length: %d\r\n" % (1000 + len(response.body)), b"")
    await call.drip(response.body + b" " * 1000, size=1, every=4.0)
    await call.until_client_closes()


@trouble(None)
async def body_in_drips_but_in_time(call: Call) -> None:
    response = await call.real_response()
    await call.ok(response.content + b"Content-Length: %d\r\n" % len(response.body), b"")
    await call.drip(response.body, size=1 + len(response.body) // 30, every=1.0)


@trouble(ServiceUnavailableError)
async def a_refusal_whose_body_never_ends(call: Call) -> None:
    await call.send(b"HTTP/1.1 503 Later\r\nContent-Length: 9999\r\n\r\n")
    await call.drip(b"soon " * 400, size=5, every=1.0)


@trouble(AnswerTimeoutError)
async def half_a_body_and_silence(call: Call) -> None:
    await _half(call)
    await call.until_client_closes()


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
    await call.until_client_closes()


# After the response, on a connection kept alive


@trouble(None)
async def closed_after_the_answer(call: Call) -> None:
    await call.pass_on()
    call.close()


@trouble(None)
async def half_closed_after_the_answer(call: Call) -> None:
    await call.pass_on()
    call.close_half()
    await call.until_client_closes()


@trouble(None, next_error=ConnectionLostError)
async def reset_after_the_answer(call: Call) -> None:
    await call.pass_on()
    await call.wait(0.001)  # a reset discards data that have not been read
    call.reset()


@trouble(None)
async def a_408_on_the_idle_connection(call: Call) -> None:
    await call.pass_on()
    await call.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    call.close()


# The clock


@trouble(None)
async def the_clock_jumps_three_days_ahead(call: Call) -> None:
    call.proxy.clock.leapt += timedelta(days=3)
    await call.pass_on()


@trouble(None)
async def the_clock_jumps_forty_days_ahead(call: Call) -> None:
    call.proxy.clock.leapt += timedelta(days=40)
    await call.pass_on()


@trouble(None)
async def the_clock_jumps_a_year_back(call: Call) -> None:
    call.proxy.clock.leapt -= timedelta(days=365)
    await call.pass_on()


@trouble(ServiceUnavailableError)
async def the_clock_jumps_during_retry_after(call: Call) -> None:
    date = f"{call.proxy.clock.now():%a, %d %b %Y %H:%M:%S} GMT".encode()
    await call.send(
        b"HTTP/1.1 503 Later\r\nDate: %b\r\nRetry-After: %b\r\nContent-Length: 0\r\n\r\n"
        % (date, date)
    )
    call.proxy.clock.leapt -= timedelta(days=10)

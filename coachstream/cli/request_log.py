"""The emulator's log: one line for each request."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

import click

from coachstream.emulator import Request

from ..text import counted, printable
from .pipe import PipeWriter

MOST_LINES = 10_000
"""Lines that wait for a slow reader; more of them are dropped."""

DOCUMENTED = {
    *("startTime", "endTime", "after", "driverIds", "coachIds", "sessionStatuses"),
    *("includeCoachableEvents", "includeExternalIds", "driverId", "coachId"),
}
"""The API's parameters. The values of others are not shown: a token may be among them."""


class RequestLog:
    """Writes requests as lines; no request waits until somebody has read its line."""

    def __init__(self) -> None:
        self._requests: asyncio.Queue[Request] = asyncio.Queue(MOST_LINES)

    def add(self, request: Request) -> None:
        """Have the request written soon."""
        with suppress(asyncio.QueueFull):
            self._requests.put_nowait(request)

    async def write(self, out: TextIO | None) -> None:
        """Write requests until the reader of ``out`` is gone; None, a closed output: for ever."""
        if out is None:
            await asyncio.Event().wait()
            return
        on_terminal, pipe = out.isatty(), PipeWriter(out.fileno())
        try:
            while True:
                request = await self._requests.get()
                columns = os.get_terminal_size(out.fileno()).columns if on_terminal else 0
                colored = on_terminal and "NO_COLOR" not in os.environ
                line = request_line(request, width=columns or None, colored=colored)
                await pipe.write(f"{line}\n".encode())
        except BrokenPipeError:
            return
        finally:
            pipe.stop()


def request_line(request: Request, *, width: int | None, colored: bool) -> str:
    """Return the line: the world's time, the status, what was asked for, and what was sent.

    Args:
        request: The request and its response.
        width: The width of the terminal, at which the line is cut; None: it is not cut.
        colored: Whether to color the line.
    """
    status = f"{request.status or '-':>3}"
    head = f"{request.now:%F %T} {status}"
    rest = f" {request.method} {printable(request.path)}"
    rest = "  ".join(filter(None, (rest, _sent(request), _parameters(request.query))))
    if width is not None and len(head) + len(rest) > width:
        rest = rest[: max(width - len(head) - 1, 0)] + "…"
    if colored:
        head = head.removesuffix(status) + click.style(status, fg=_color(request.status))
    return head + rest


def _sent(request: Request) -> str:
    """Return how many sessions were sent, and the fault if there was one."""
    fault = request.fault.kind if request.fault and request.fault.kind != "serve" else ""
    is_page = request.status == 200 and request.path.endswith("/stream")
    sessions = counted(len(request.served), "session") if is_page else ""
    return " ".join(filter(None, (sessions, fault and f"(fault: {fault})")))


def _parameters(query: Mapping[str, str]) -> str:
    shown = ((name, value if name in DOCUMENTED else "***") for name, value in query.items())
    return " ".join(printable(f"{name}={value}") for name, value in shown)


def _color(status: int) -> str:
    return {2: "green", 3: "yellow", 4: "yellow"}.get(status // 100, "red")

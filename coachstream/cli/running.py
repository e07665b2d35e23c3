"""Shared by all commands: running to the end, signals, and errors as one line."""

import asyncio
import math
import re
import signal
import sys
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import NoReturn, TextIO

import click

from coachstream import CoachStreamError, InvalidArgumentError

from ..http.credentials import VARIABLE
from ..http.failures import CA_VARIABLE
from .pipe import discard, is_unread

OPTIONS = {
    "base_url and region": "--base-url and --region",
    "base_url or region": "--base-url or --region",
    "base_url": "--base-url",
    "allow_http=True": "--allow-http",
    "start_time": "--since",
    "end_time": "--until",
    "driver_ids": "--driver-id",
    "coach_ids": "--coach-id",
    "session_statuses": "--status",
    CA_VARIABLE: f"--ca-file or {CA_VARIABLE}",
}
"""What the library's messages name, and what stands for it on the command line."""
_ARGUMENTS = re.compile("|".join(rf"\b{name}\b" for name in OPTIONS))


class RefusedError(click.ClickException):
    """The command can't run with these options or in this environment."""

    exit_code = 2


class Number(click.FloatRange):
    """A number within bounds; NaN, which a `click.FloatRange` accepts, is not one."""

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))  # type: ignore[arg-type]  # text, too
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def output() -> TextIO:
    """Return the standard output.

    Raises:
        RefusedError: it is closed, as by ``>&-`` in a shell.
    """
    if sys.stdout is None:
        raise RefusedError("the standard output is closed.")
    return sys.stdout


def run(command: Coroutine[object, object, int | None]) -> NoReturn:
    """Run a command to its end and exit with its code, or with the shell's for a signal.

    When the reader of the output is gone, as after ``| head``, nobody misses the rest: the command
    ends with 0 and without an error.
    """
    try:
        code = asyncio.run(_until_signalled(command))
    except KeyboardInterrupt:  # where loops can't handle signals
        code = 128 + signal.SIGINT
    except InvalidArgumentError as error:
        raise RefusedError(_refusal(error)) from None
    except (CoachStreamError, OSError) as error:  # OSError: disk full, port in use
        if not (isinstance(error, BrokenPipeError) and is_unread(out := output())):
            raise click.ClickException(in_options(one_line(str(error)))) from None
        discard(out)
        code = 0
    sys.exit(code)


def _refusal(error: InvalidArgumentError) -> str:
    """Return the error in words that name the option, or the variable that holds the token."""
    dashed = "--" + error.argument.replace("_", "-")
    option = VARIABLE if error.argument == "token" else OPTIONS.get(error.argument, dashed)
    problem = in_options(one_line(error.problem))
    return problem if option in problem else f"{option}: {problem}"


def in_options(text: str) -> str:
    """Return the library's words with options instead of the arguments of its functions."""
    return _ARGUMENTS.sub(lambda match: OPTIONS[match[0]], text)


async def _until_signalled(command: Awaitable[int | None]) -> int | None:
    """Await the command; Ctrl-C and SIGTERM cancel it, so that it shuts down cleanly."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        task.cancel()

    with suppress(NotImplementedError):  # on Windows
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
    try:
        return await command
    except asyncio.CancelledError:
        if not received:
            raise
        return 128 + received[0]


def one_line(text: str) -> str:
    """Return the text as one line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

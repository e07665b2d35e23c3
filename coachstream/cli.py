"""The command line: a demo, a server to try things on, and the feed as lines of JSON."""

import asyncio
import logging
import os
import re
import select
import shlex
import signal
import sys
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NoReturn

import anyio
import msgspec

try:
    import click
    from rich.console import Console
except ModuleNotFoundError as error:  # the library itself does without them
    missing = str(error.name).partition(".")[0]
    raise SystemExit(f"the command line needs {missing}: pip install 'coachstream[cli]'") from None

from coachstream import (
    Client,
    CoachingSession,
    CoachStreamError,
    InvalidArgumentError,
    MalformedSessionError,
    SessionStream,
    SystemClock,
    __version__,
)
from coachstream.emulator import Emulator, World

from .demo import run as show_all
from .http.address import REGIONS
from .http.credentials import VARIABLE
from .models import FILTER_STATUSES
from .outlet import Outlet
from .sessions.endpoint import POLL_INTERVAL

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

OPTIONS = {
    "token": VARIABLE,
    "start_time": "--since",
    "end_time": "--until",
    "driver_ids": "--driver-id",
    "coach_ids": "--coach-id",
    "session_statuses": "--status",
}
"""Where the command line calls an argument of the library by another name."""


@click.group()
@click.version_option(__version__, prog_name="coachstream")
def main() -> None:
    """Follow Samsara's coaching sessions. Begin with `coachstream demo`: it needs no account."""


# coachstream demo


@main.command()
@click.option("--sessions", default=3000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True, help="Another one, another company.")
@click.option(
    "--seconds",
    default=15.0,
    show_default=True,
    type=click.FloatRange(0, 3600),
    help="How long to follow what changes.",
)
def demo(*, sessions: int, seed: int, seconds: float) -> None:
    """Show the library at work, on this machine alone.

    Needs neither token nor network. Takes about half a minute, and exits with 1 if a session is
    lost on the way.
    """
    console = Console(force_terminal=sys.stdout.isatty())

    async def show() -> int:
        lost_nothing = await show_all(console, sessions=sessions, seed=seed, seconds=seconds)
        return 0 if lost_nothing else 1

    _run(show())


# coachstream emulate


@main.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen. Any but a loopback address lets other machines in.",
)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option("--sessions", default=2000, show_default=True, type=click.IntRange(0))
@click.option("--drivers", default=200, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True, help="Another one, another company.")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds that pass there in one of ours.",
)
@click.option("--changes-per-hour", default=600.0, show_default=True, type=click.FloatRange(0))
@click.option(
    "--token",
    envvar="COACHSTREAM_EMULATOR_TOKEN",
    show_envvar=True,
    help="The only token let in. By default any is.",
)
def emulate(
    *,
    host: str,
    port: int,
    sessions: int,
    drivers: int,
    seed: int,
    speed: float,
    changes_per_hour: float,
    token: str | None,
) -> None:
    """Run a stand-in for Samsara's API, to try programs on. Ctrl-C ends it."""
    world = World(
        seed,
        drivers=drivers,
        sessions=sessions,
        now=SystemClock().now(),
        changes_per_hour=changes_per_hour,
    )
    emulator = Emulator(world, host=host, port=port, speed=speed, token=token)

    async def serve() -> None:
        async with emulator:
            _invite(emulator.url, host, token)
            await anyio.sleep_forever()

    _run(serve())


def _invite(url: str, host: str, token: str | None) -> None:
    """Say where it listens, and what to type in another terminal."""
    click.echo(f"The emulator listens at {url}. Ctrl-C ends it.")
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # to warn of it, not to do it
        click.echo("Other machines can reach it, too.", err=True)
        # Plain HTTP is for loopback, so that is where this machine's own programs go.
        url = url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")  # noqa: S104  # same
    word = "any" if token is None else "its-token"
    click.echo(f"Try: {VARIABLE}={word} coachstream tail --base-url {url}")


# coachstream tail


def _moment(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> datetime | None:
    """Read ``7d`` as seven days ago, and anything else as a timestamp."""
    if value is None:
        return None
    try:
        if ago := re.fullmatch(r"(\d+)([mhdw])", value, re.ASCII):
            return SystemClock().now() - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(value.upper())
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is neither like 7d, 12h or 30m nor like 2026-03-01T08:00:00Z."
        ) from None
    if moment.utcoffset() is None:
        raise click.BadParameter(f"{value!r} has no time zone; put a Z after it for UTC.")
    return moment


@main.command()
@click.option(
    "--since",
    metavar="WHEN",
    default="7d",
    show_default=True,
    callback=_moment,
    help="Begin with what changed then: 7d, 12h or 30m ago, or a time like 2026-03-01T08:00:00Z.",
)
@click.option(
    "--until", metavar="WHEN", callback=_moment, help="End there. Without it, go on for ever."
)
@click.option("--driver-id", "driver_ids", multiple=True, help="Only this driver. Repeatable.")
@click.option("--coach-id", "coach_ids", multiple=True, help="Only this coach. Repeatable.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(FILTER_STATUSES),
    help="Only this status. Repeatable.",
)
@click.option("--events", is_flag=True, help="Include the events of each behaviour.")
@click.option("--external-ids", is_flag=True, help="Include the drivers' external ids.")
@click.option(
    "--after", metavar="CURSOR", help="Go on from there, with all else as it was, times in full."
)
@click.option(
    "--poll-interval",
    metavar="SECONDS",
    type=float,
    default=POLL_INTERVAL,
    show_default=True,
    help="How long to wait when there is nothing new.",
)
@click.option("--region", type=click.Choice(list(REGIONS)), default="us", show_default=True)
@click.option("--base-url", metavar="URL", help="Another server, such as the emulator.")
@click.option("--api-version", metavar="VERSION", help="Such as 2025-06-11.")
@click.option("-v", "--verbose", count=True, help="Tell more on stderr; twice, everything.")
def tail(
    *,
    since: datetime,
    until: datetime | None,
    driver_ids: tuple[str, ...],
    coach_ids: tuple[str, ...],
    statuses: tuple[str, ...],
    events: bool,
    external_ids: bool,
    after: str | None,
    poll_interval: float,
    region: str,
    base_url: str | None,
    api_version: str | None,
    verbose: int,
) -> None:
    """Write sessions to stdout as they change, one line of JSON each.

    It is the server's own JSON, whole. Without --until it goes on until Ctrl-C, or until nobody
    reads any more. What else there is to tell goes to stderr.

    The token is read from the environment variable SAMSARA_API_TOKEN and nowhere else: on a
    command line, everyone who can list processes could see it.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s")
    logging.getLogger("coachstream").setLevel(level)
    if not hasattr(select, "poll"):
        raise _Refused("tail needs to poll its pipe, which Windows does not offer.")
    if not os.environ.get(VARIABLE):
        raise _Refused(f"{VARIABLE} is not set: put your API token there.")

    async def copy() -> None:
        async with Client(region=region, base_url=base_url, api_version=api_version) as client:
            stream = client.sessions.stream(
                start_time=since,
                end_time=until,
                driver_ids=driver_ids or None,
                coach_ids=coach_ids or None,
                session_statuses=statuses or None,
                include_coachable_events=events,
                include_external_ids=external_ids,
                after=after,
                poll_interval=poll_interval,
                keep_raw=True,
                on_malformed=_leave_it_to_the_copy,
            )
            try:
                await _copy(stream)
            finally:
                if verbose:
                    _tell_position(stream, since, until)

    _run(copy())


def _tell_position(stream: SessionStream, since: datetime, until: datetime | None) -> None:
    """Say how to go on: the server takes a cursor only with the very times it was given for."""
    words = ["--since", since.isoformat()]
    if until is not None:
        words += ["--until", until.isoformat()]
    if cursor := stream.position.cursor:
        words += ["--after", cursor]
    click.echo(f"position: {shlex.join(words)}", err=True)


async def _leave_it_to_the_copy(_error: MalformedSessionError) -> None:
    """Settle a session that can't be read: its JSON is copied all the same, and it is logged."""


async def _copy(stream: SessionStream) -> None:
    """Write the stream's pages to stdout, until it ends or nobody reads any more."""
    outlet = Outlet(sys.stdout.fileno())
    with anyio.CancelScope() as scope:
        watching = asyncio.create_task(outlet.when_unread(scope.cancel))
        try:
            with suppress(BrokenPipeError):
                async for page in stream.pages():
                    await outlet.write(b"".join(map(_line, page.entries)))
        finally:
            watching.cancel()
            outlet.stop()


def _line(entry: CoachingSession | MalformedSessionError) -> bytes:
    assert entry.raw is not None, "asked for with keep_raw"
    return msgspec.json.format(entry.raw, indent=-1) + b"\n"


# What all commands share


class _Refused(click.ClickException):
    """What was asked for makes no sense."""

    exit_code = 2


def _run(command: Coroutine[object, object, int | None]) -> NoReturn:
    """Run a command to its end and exit with its code, or with the shell's for a signal."""
    try:
        code = asyncio.run(_until_signalled(command))
    except KeyboardInterrupt:  # where loops can't handle signals
        code = 128 + signal.SIGINT
    except InvalidArgumentError as error:
        option = OPTIONS.get(error.argument, "--" + error.argument.replace("_", "-"))
        raise _Refused(f"{option}: {_one_line(error.problem)}") from None
    except (CoachStreamError, OSError) as error:  # OSError: no room on the disk, a port in use
        raise click.ClickException(_one_line(str(error))) from None
    sys.exit(code)


async def _until_signalled(command: Awaitable[int | None]) -> int | None:
    """Await the command; Ctrl-C and SIGTERM cancel it, so that it stops as clean as ever."""
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


def _one_line(text: str) -> str:
    """Return the text with nothing in it that would break the line, or the terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

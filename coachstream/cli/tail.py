"""``coachstream tail``: the feed as lines of JSON."""

import asyncio
import logging
import os
import re
import select
import shlex
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TextIO

import anyio
import click
import msgspec

from coachstream import Client, CoachingSession, MalformedSessionError, SessionStream, SystemClock

from ..http.address import REGIONS
from ..http.credentials import VARIABLE
from ..models import FILTER_STATUSES
from ..sessions.endpoint import POLL_INTERVAL
from .pipe import PipeWriter
from .running import RefusedError, output, run

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _parse_time(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> datetime | None:
    """Parse ``7d`` as seven days ago, and anything else as a timestamp."""
    if value is None:
        return None
    try:
        if ago := re.fullmatch(r"(\d+)([mhdw])", value, re.ASCII):
            return SystemClock().now() - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(value.upper())
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is not a time like 7d, 12h, 30m or 2026-03-01T08:00:00Z."
        ) from None
    if moment.utcoffset() is None:
        raise click.BadParameter(f"{value!r} has no time zone; append Z for UTC.")
    return moment


@click.command("tail")
@click.option(
    "--since",
    metavar="WHEN",
    default="7d",
    show_default=True,
    callback=_parse_time,
    help="Start with changes since 7d, 12h or 30m ago, or since a time like 2026-03-01T08:00:00Z.",
)
@click.option(
    "--until", metavar="WHEN", callback=_parse_time, help="End at this time (default: never)."
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
    "--after",
    metavar="CURSOR",
    help="Resume from this cursor. Repeat the other options unchanged, with absolute times.",
)
@click.option(
    "--poll-interval",
    metavar="SECONDS",
    type=float,
    default=POLL_INTERVAL,
    show_default=True,
    help="Time between requests when there is nothing new.",
)
@click.option("--region", type=click.Choice(list(REGIONS)), default="us", show_default=True)
@click.option("--base-url", metavar="URL", help="Use this server, such as an emulator.")
@click.option("--api-version", metavar="VERSION", help="Version of the API, such as 2025-06-11.")
@click.option("-v", "--verbose", count=True, help="Log more to stderr; -vv logs everything.")
def command(
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

    Each line is the server's own JSON, complete; what is no JSON is written as a JSON string.
    Without --until, the command runs until Ctrl-C or until the reader of its output is gone. Logs
    go to stderr.

    The token is read only from the environment variable SAMSARA_API_TOKEN: on a command line,
    everyone who can list processes could see it.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s")
    logging.getLogger("coachstream").setLevel(level)
    out = output()
    if not hasattr(select, "poll"):
        raise RefusedError("tail needs select.poll(), which Windows does not have.")
    if not os.environ.get(VARIABLE):
        raise RefusedError(f"{VARIABLE} is not set. Set it to your API token.")

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
                on_malformed=_settle_malformed,
            )
            try:
                await _copy(stream, out)
            finally:
                if verbose:
                    _print_position(stream, since, until)

    run(copy())


def _print_position(stream: SessionStream, since: datetime, until: datetime | None) -> None:
    """Print the options to resume with: a cursor is valid only with the times it was issued for."""
    options = ["--since", since.isoformat()]
    if until is not None:
        options += ["--until", until.isoformat()]
    if cursor := stream.position.cursor:
        options += ["--after", cursor]
    click.echo(f"position: {shlex.join(options)}", err=True)


async def _settle_malformed(_error: MalformedSessionError) -> None:
    """Settle a malformed session: its JSON is written anyway, and the library logs a warning."""


async def _copy(stream: SessionStream, out: TextIO) -> None:
    """Write the stream's pages to ``out`` until it ends or the reader is gone."""
    pipe = PipeWriter(out.fileno())
    with anyio.CancelScope() as scope:
        watching = asyncio.create_task(pipe.watch_reader(scope.cancel))
        try:
            with suppress(BrokenPipeError):
                async for page in stream.pages():
                    await pipe.write(b"".join(map(_line, page.entries)))
        finally:
            watching.cancel()
            pipe.stop()


def _line(entry: CoachingSession | MalformedSessionError) -> bytes:
    assert entry.raw is not None, "keep_raw is set"
    try:
        line = msgspec.json.format(entry.raw, indent=-1)
    except (msgspec.MsgspecError, RecursionError):
        line = msgspec.json.encode(entry.raw.decode(errors="replace"))
    return line + b"\n"

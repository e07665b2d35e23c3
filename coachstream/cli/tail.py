"""``coachstream tail``: the feed as lines of JSON."""

import logging
import os
import shlex
import sys
from contextlib import suppress
from datetime import datetime

import click
import msgspec
from click.core import ParameterSource

from coachstream import (
    CoachingSession,
    FilterStatus,
    MalformedSessionError,
    Region,
    SessionStream,
)

from ..enumerations import FILTER_STATUSES
from ..http import address
from ..http.credentials import VARIABLE
from ..http.failures import CA_VARIABLE
from ..sessions.endpoint import POLL_INTERVAL
from .connection import connect
from .pipe import PipeWriter, while_read
from .running import RefusedError, output, run
from .times import parse_time

FOR_RESUMING = ("since", "until", "after")
"""The options whose values are others when a command is resumed."""


@click.command("tail")
@click.option(
    "--since",
    metavar="WHEN",
    default="7d",
    show_default=True,
    callback=parse_time,
    help=(
        "Start with changes since then: 7d, 12h, 30m or 90s ago; today, yesterday or a date such "
        "as 2026-03-01 (midnight UTC); or a time such as 2026-03-01T08:00:00Z."
    ),
)
@click.option(
    "--until", metavar="WHEN", callback=parse_time, help="End at this time (default: never)."
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
@click.option(
    "--region",
    type=click.Choice(list(address.REGIONS)),
    default="us",
    show_default=True,
    help="Where your organisation's data is.",
)
@click.option(
    "--base-url",
    metavar="URL",
    help=f"Use this server, such as an emulator.  [env var: {address.VARIABLE}]",
)
@click.option(
    "--allow-http",
    is_flag=True,
    help="Allow plain HTTP, which shows the token to everyone on the way.",
)
@click.option(
    "--ca-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    envvar=CA_VARIABLE,
    show_envvar=True,
    help="Also trust the certificate authorities in this PEM file.",
)
@click.option("--api-version", metavar="VERSION", help="Version of the API, such as 2025-06-11.")
@click.option("-v", "--verbose", count=True, help="Log more to stderr; -vv logs everything.")
@click.pass_context
def command(
    context: click.Context,
    *,
    since: datetime,
    until: datetime | None,
    driver_ids: tuple[str, ...],
    coach_ids: tuple[str, ...],
    statuses: tuple[FilterStatus, ...],
    events: bool,
    external_ids: bool,
    after: str | None,
    poll_interval: float,
    region: Region,
    base_url: str | None,
    allow_http: bool,
    api_version: str | None,
    ca_file: str | None,
    verbose: int,
) -> None:
    """Write sessions to stdout as they change, as lines of JSON.

    Each line is a session's JSON as the server sent it. A session that is not valid JSON is
    written as a JSON string. Without --until, the command runs until Ctrl-C or until the reader of
    its output is gone. Logs go to stderr. So does, after Ctrl-C, the command to continue with.

    The token is read only from the environment variable SAMSARA_API_TOKEN: on a command line,
    everyone who can list processes could see it. Proxies are taken from HTTPS_PROXY and NO_PROXY.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s")
    logging.getLogger("coachstream").setLevel(level)
    out = output()
    if not os.environ.get(VARIABLE):
        raise RefusedError(f"{VARIABLE} is not set. Set it to your API token.")

    async def copy() -> None:
        async with connect(
            region=region,
            base_url=base_url,
            allow_http=allow_http,
            api_version=api_version,
            ca_file=ca_file,
        ) as client:
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
            interrupted = True
            try:
                await while_read(out, _copy(stream, PipeWriter(out.fileno())))
                interrupted = False
            finally:
                cursor = stream.position.cursor
                if verbose or (interrupted and cursor):
                    _print_resumption(context, cursor)

    run(copy())


def _print_resumption(context: click.Context, cursor: str | None) -> None:
    """Print the command to continue with: the options that were given, and the cursor.

    A cursor is valid only with the times it was issued for, so they are written in full.
    """
    words = context.command_path.split()
    for option in context.command.params:
        assert option.name is not None
        value = cursor if option.name == "after" else context.params[option.name]
        given = context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
        if value is not None and (given or option.name in FOR_RESUMING):
            words += _as_typed(option.opts[0], value)
    click.echo(f"To continue from here:\n  {shlex.join(words)}", err=True)


def _as_typed(option: str, value: object) -> list[str]:
    match value:
        case bool():
            return [option]
        case int():  # how often it was given
            return [option] * value
        case tuple():
            return [word for one in value for word in (option, str(one))]
        case datetime():
            return [option, value.isoformat()]
        case _:
            return [option, str(value)]


async def _settle_malformed(_error: MalformedSessionError) -> None:
    """Settle a malformed session: its JSON is written anyway, and the library logs a warning."""


async def _copy(stream: SessionStream, pipe: PipeWriter) -> None:
    """Write the stream's pages until it ends or the reader is gone."""
    try:
        with suppress(BrokenPipeError):
            async for page in stream.pages():
                await pipe.write(b"".join(map(_line, page.entries)))
    finally:
        pipe.stop()


def _line(entry: CoachingSession | MalformedSessionError) -> bytes:
    assert entry.raw is not None, "keep_raw is set"
    try:
        line = msgspec.json.format(entry.raw, indent=-1)
    except (msgspec.MsgspecError, RecursionError):
        line = msgspec.json.encode(entry.raw.decode(errors="replace"))
    return line + b"\n"

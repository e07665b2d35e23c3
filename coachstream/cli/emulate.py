"""``coachstream emulate``: an emulator of Samsara's API, to test programs against."""

import sys

import click

from coachstream import SystemClock
from coachstream.emulator import Emulator, Fault, Request, World

from ..http.credentials import VARIABLE
from .faults import FORMS, parse_faults
from .request_log import RequestLog
from .running import Number, RefusedError, run

FASTEST = 10_000.0
"""Emulated seconds per second; the emulator's calendar then ends after most of a year."""
MOST_PER_HOUR = 3_600_000.0
MOST_CHANGES = 1000
"""Changes per second; more of them would leave no time for requests."""
MOST_RECORDS = 1_000_000
"""Sessions or drivers; more of them would not fit into memory."""
LONGEST_LATENCY = 3600.0


@click.command("emulate", epilog=f"\b\nFaults:\n{FORMS}")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Other machines can connect unless it is a loopback address.",
)
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--sessions",
    default=2000,
    show_default=True,
    type=click.IntRange(0, MOST_RECORDS),
    help="Sessions at the start.",
)
@click.option(
    "--drivers",
    default=200,
    show_default=True,
    type=click.IntRange(1, MOST_RECORDS),
    help="Drivers.",
)
@click.option(
    "--seed", default=1, show_default=True, help="Random seed; another number gives other data."
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=Number(0, FASTEST),
    help="Emulated seconds per real second.",
)
@click.option(
    "--changes-per-hour",
    default=600.0,
    show_default=True,
    type=Number(0, MOST_PER_HOUR),
    help="Sessions that change per emulated hour.",
)
@click.option(
    "--page-size",
    default=100,
    show_default=True,
    type=click.IntRange(1, MOST_RECORDS),
    help="Sessions or assignments per page.",
)
@click.option(
    "--latency",
    metavar="SECONDS",
    default=0.0,
    show_default=True,
    type=Number(0, LONGEST_LATENCY),
    help="Delay each response by this time.",
)
@click.option(
    "--faults",
    metavar="LIST",
    callback=parse_faults,
    help=(
        "Apply these faults, one per request, and then again from the first. The list below "
        "shows them. With serve:9,429:0.5 every tenth request is refused."
    ),
)
@click.option(
    "--token",
    envvar="COACHSTREAM_EMULATOR_TOKEN",
    show_envvar=True,
    help="Accept only this token (default: any).",
)
def command(
    *,
    host: str,
    port: int,
    sessions: int,
    drivers: int,
    seed: int,
    speed: float,
    changes_per_hour: float,
    page_size: int,
    latency: float,
    faults: list[Fault],
    token: str | None,
) -> None:
    """Run an emulator of Samsara's API, to test programs against. Ctrl-C stops it.

    Each request is logged to stderr as one line: the emulated time (UTC), the status, the request,
    and what was sent.
    """
    if speed * changes_per_hour / 3600 > MOST_CHANGES:
        raise RefusedError(
            f"--speed and --changes-per-hour: together more than {MOST_CHANGES} changes per second"
        )
    world = World(
        seed,
        drivers=drivers,
        sessions=sessions,
        now=SystemClock().now(),
        changes_per_hour=changes_per_hour,
    )
    log = RequestLog()

    def on_request(request: Request) -> None:
        log.add(request)
        if not emulator.faults:
            emulator.faults.extend(faults)

    emulator = Emulator(
        world,
        host=host,
        port=port,
        speed=speed,
        token=token,
        page_size=page_size,
        latency=latency,
        faults=faults,
        on_request=on_request,
    )

    async def serve() -> None:
        async with emulator:
            _print_usage(emulator.url, host, token)
            await log.write(sys.stderr)

    run(serve())


def _print_usage(url: str, host: str, token: str | None) -> None:
    """Print the address, and a command to run in another terminal."""
    click.echo(f"The emulator listens at {url}. Ctrl-C stops it.")
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # only to warn
        click.echo("Warning: other machines can connect to it.", err=True)
        # The client allows plain HTTP only to loopback addresses.
        url = url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")  # noqa: S104  # same
    value = "any" if token is None else "its-token"
    click.echo(f"Try: {VARIABLE}={value} coachstream tail --base-url {url}")

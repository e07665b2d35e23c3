"""``coachstream emulate``: an emulator of Samsara's API, to test programs against."""

import anyio
import click

from coachstream import SystemClock
from coachstream.emulator import Emulator, World

from ..http.credentials import VARIABLE
from .running import run


@click.command("emulate")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Other machines can connect unless it is a loopback address.",
)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option("--sessions", default=2000, show_default=True, type=click.IntRange(0))
@click.option("--drivers", default=200, show_default=True, type=click.IntRange(1))
@click.option(
    "--seed", default=1, show_default=True, help="Random seed; another number gives other data."
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Emulated seconds per real second.",
)
@click.option("--changes-per-hour", default=600.0, show_default=True, type=click.FloatRange(0))
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
    token: str | None,
) -> None:
    """Run an emulator of Samsara's API, to test programs against. Ctrl-C stops it."""
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
            _print_usage(emulator.url, host, token)
            await anyio.sleep_forever()

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

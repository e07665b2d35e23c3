"""``coachstream emulate``: a stand-in for Samsara's API, to try programs on."""

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

    run(serve())


def _invite(url: str, host: str, token: str | None) -> None:
    """Say where it listens, and what to type in another terminal."""
    click.echo(f"The emulator listens at {url}. Ctrl-C ends it.")
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # to warn of it, not to do it
        click.echo("Other machines can reach it, too.", err=True)
        # Plain HTTP is for loopback, so that is where this machine's own programs go.
        url = url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")  # noqa: S104  # same
    word = "any" if token is None else "its-token"
    click.echo(f"Try: {VARIABLE}={word} coachstream tail --base-url {url}")

"""``coachstream checkpoint``: saved positions, to be seen, moved, copied and forgotten."""

import getpass
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import click
import msgspec

from coachstream import (
    CheckpointError,
    CorruptCheckpointError,
    InvalidArgumentError,
    NewerCheckpointError,
    Position,
    SystemClock,
)

from ..checkpoints import Checkpoint, MemoryStore, Store, open_store
from ..checkpoints.encoding import decode, encode
from ..checkpoints.names import checked_name
from ..wire.query import Query
from .running import output, run
from .times import parse_time

VARIABLE = "COACHSTREAM_STORE"
WATCH = 3.0
"""Seconds; while it has something to save, a consumer saves once a second."""

F = TypeVar("F", bound=Callable[..., object])


class Exported(msgspec.Struct, frozen=True):
    """A line of an export."""

    name: str
    revision: int
    checkpoint: msgspec.Raw


_UNREADABLE = (CorruptCheckpointError, NewerCheckpointError)
_exported = msgspec.json.Decoder(Exported)


def _open(context: click.Context, _parameter: click.Parameter, url: str) -> Store:
    try:
        store = cast("Store", open_store(url))
    except InvalidArgumentError as error:
        raise click.BadParameter(error.problem) from None
    if isinstance(store, MemoryStore):
        raise click.BadParameter("every process has a memory of its own.")
    scheme, _, path = url.partition(":")
    if scheme == "sqlite" and context.command is not import_ and not Path(path).exists():
        raise click.BadParameter(f"there is no file {path}.")
    return store


def _check_name(
    _context: click.Context, _parameter: click.Parameter, value: str | tuple[str, ...]
) -> str | tuple[str, ...]:
    try:
        for name in [value] if isinstance(value, str) else value:
            checked_name(name)
    except InvalidArgumentError as error:
        raise click.BadParameter(error.problem) from None
    return value


_store = click.option(
    "--store",
    metavar="URL",
    required=True,
    envvar=VARIABLE,
    show_envvar=True,
    callback=_open,
    help="The store, as for stream() and consume(). A URL with a password is safe in the variable.",
)
_name = click.argument("name", callback=_check_name)
_watch = click.option(
    "--watch",
    metavar="SECONDS",
    type=click.FloatRange(0, 3600),
    default=WATCH,
    show_default=True,
    help="How long to watch whether a consumer moves it; 0: not at all.",
)


@click.group("checkpoint")
def command() -> None:
    """See, move, copy and forget saved positions.

    Stop the consumer first. A change is refused while one is seen to move the position; one that
    has nothing to save is not seen, and stops with an error at its next save.
    """


@command.command("list")
@_store
def list_(store: Store) -> None:
    """List all names: revision, and up to when everything is settled."""

    async def show() -> None:
        async with store:
            for name in await store.list():
                try:
                    brief = _brief(await _loaded(store, name))
                except _UNREADABLE as error:
                    brief = type(error).__name__
                click.echo(f"{name}\t{brief}")

    run(show())


@command.command()
@_store
@_name
def show(store: Store, name: str) -> None:
    """Show all that is saved for a name."""

    async def show_one() -> None:
        async with store:
            found = await _loaded(store, name)
        position = found.position
        for field, value in (
            ("name", name),
            ("revision", found.revision),
            ("settled up to", position.watermark),
            ("first query", position.origin),
            ("query", position.query),
            ("cursor", position.cursor),
            ("cursor issued at", position.cursor_time),
            ("settled after the cursor", len(position.settled)),
            ("expired cursor", position.dead_cursor),
        ):
            click.echo(f"{field}: {'none' if value is None else value}")

    run(show_one())


@command.command()
@_store
@_name
@_watch
@click.confirmation_option(prompt="The next run begins again at its start time. Go on?")
def reset(store: Store, name: str, watch: float) -> None:
    """Forget what is saved for a name, even if it is damaged."""

    async def delete() -> None:
        async with store:
            try:
                was = _brief(await _at_rest(store, name, watch))
            except _UNREADABLE as error:
                was = type(error).__name__
            if not await store.delete(name):
                raise click.ClickException(f"nothing is saved for {name!r}.")
            _audit(f"reset {name!r} in {store!r}: was {was}")

    run(delete())


@command.command()
@_store
@_name
@click.option(
    "--to",
    metavar="TIME",
    required=True,
    callback=parse_time,
    help="Deliver again what has changed since this time.",
)
@_watch
def rewind(store: Store, name: str, to: datetime, watch: float) -> None:
    """Move a saved position back, so that sessions are delivered again."""

    async def move() -> None:
        async with store:
            found = await _at_rest(store, name, watch)
            position = _rewound(found.position, to)
            saved = await store.save(name, position, after=found.revision)
            _audit(
                f"rewound {name!r} in {store!r}: was {_brief(found)}; now revision "
                f"{saved.revision}, from {to.astimezone(UTC):%FT%TZ} on"
            )

    run(move())


@command.command()
@_store
@click.argument("names", nargs=-1, callback=_check_name)
def export(store: Store, names: tuple[str, ...]) -> None:
    """Write checkpoints to stdout as lines of JSON: all, or NAMES."""
    out = output()

    async def write() -> None:
        async with store:
            for name in names or await store.list():
                found = await _loaded(store, name)
                line = Exported(name, found.revision, msgspec.Raw(encode(found.position)))
                out.write(msgspec.json.encode(line).decode() + "\n")

    run(write())


@command.command("import")
@_store
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--replace", is_flag=True, help="Replace what is saved already.")
@_watch
def import_(store: Store, file: BinaryIO, replace: bool, watch: float) -> None:
    """Save what `export` has written to FILE, by default from stdin."""
    lines = [_parsed(number, line) for number, line in enumerate(file, 1) if line.strip()]

    async def save() -> None:
        async with store:
            for name, position in lines:
                existing = await store.load(name)
                if existing is not None and not replace:
                    raise click.ClickException(
                        f"{name!r} is saved already: {_brief(existing)}. To replace it, give "
                        "--replace."
                    )
                if existing is not None:
                    existing = await _at_rest(store, name, watch)
                after = 0 if existing is None else existing.revision
                saved = await store.save(name, position, after=after)
                was = "new" if existing is None else f"was {_brief(existing)}"
                _audit(f"imported {name!r} into {store!r}: {was}; now {_brief(saved)}")

    run(save())


async def _loaded(store: Store, name: str) -> Checkpoint:
    found = await store.load(name)
    if found is None:
        raise click.ClickException(f"nothing is saved for {name!r}.")
    return found


async def _at_rest(store: Store, name: str, watch: float) -> Checkpoint:
    """Return what is saved for the name, unless it moves meanwhile."""
    found = await _loaded(store, name)
    if watch:
        click.echo(f"Watching {name!r} for {watch:g} s, in case a consumer runs.", err=True)
        await SystemClock().sleep(watch)
    if (later := await _loaded(store, name)).revision != found.revision:
        raise click.ClickException(
            f"a consumer runs: {name!r} went from revision {found.revision} to {later.revision} "
            "meanwhile. Stop it first."
        )
    return found


def _rewound(position: Position, to: datetime) -> Position:
    """Return the position from which all that has changed since ``to`` is delivered again."""
    origin = Query.from_wire(position.origin)
    if position.watermark is None or to >= position.watermark:
        raise click.BadParameter(
            f"all is settled up to {position.watermark or 'nowhere yet'}; there is no way back to "
            f"{to.astimezone(UTC):%FT%TZ}."
        )
    if origin.start == origin.end:
        raise click.BadParameter("a snapshot of one moment can't be moved; reset it.")
    query = origin.starting(to)
    # A later run may start no earlier than the first one.
    first = query if to < origin.start else origin
    return Position(query=query.wire, origin=first.wire)


def _parsed(number: int, line: bytes) -> tuple[str, Position]:
    try:
        found = _exported.decode(line)
        return checked_name(found.name), decode(found.name, bytes(found.checkpoint))
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidArgumentError) as error:
        raise click.ClickException(f"line {number} is not an export: {error}") from None
    except CheckpointError as error:
        raise click.ClickException(f"line {number}: {error}") from None


def _brief(checkpoint: Checkpoint) -> str:
    """Return revision and watermark in words."""
    watermark = checkpoint.position.watermark
    reached = "nothing settled" if watermark is None else f"settled up to {watermark:%FT%TZ}"
    return f"revision {checkpoint.revision}, {reached}"


def _audit(what: str) -> None:
    """Print what was done, by whom and when."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # of a container, whose user has no name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    moment = SystemClock().now().astimezone(UTC)
    click.echo(f"{moment:%FT%TZ} {user}@{socket.gethostname()} {what}", err=True)

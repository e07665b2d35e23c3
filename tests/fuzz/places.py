"""What must hold of checkpoints whatever the bytes in storage."""

import asyncio
import atexit
from collections.abc import Coroutine
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar

from coachstream import CheckpointError
from coachstream.checkpoints import MemoryStore
from coachstream.checkpoints.encoding import decode, encode
from coachstream.checkpoints.stored import Stored, restore, seal, unseal
from coachstream.emulator.world import BIRTHDAY
from coachstream.feed.backfill import BackfillReader
from coachstream.feed.paging import Pager
from coachstream.feed.reader import PageReader
from coachstream.models import Position
from coachstream.progress.checkpointer import Checkpointer
from coachstream.wire.query import Query
from tests.contracts.positions import QUERY, full
from tests.fuzz.readers import shape, shown
from tests.support.runtimes import new_runtime

SOUND = Stored(3, encode(full(3)))
SEALED = seal(SOUND)

T = TypeVar("T")


def check(data: bytes) -> str:
    """Take ``data`` for what a store holds; return in one word what came of it.

    Raises:
        AssertionError: a promise is broken. Any other exception is one that must not come out.
    """
    return " ".join((_as_a_record(data), _as_sealed(data), _as_damage(data)))


def _as_a_record(value: bytes) -> str:
    try:
        position = decode("it", value)
    except CheckpointError as error:
        shown(error)
        return shape(error)
    assert decode("it", encode(position)) == position
    assert restore("it", Stored(1, value)) is not None
    return "position" if _usable(position) else "of no use"


def _as_sealed(sealed: bytes) -> str:
    try:
        kept = unseal("it", sealed)
    except CheckpointError as error:
        shown(error)
        return shape(error)
    assert unseal("it", seal(kept)) == kept
    return "whole"


def _as_damage(data: bytes) -> str:
    """Put the data somewhere into a whole checkpoint: it is found damaged, or is as before."""
    start = int.from_bytes(data[:2]) % (len(SEALED) + 1)
    end = min(len(SEALED), start + (data[2] if len(data) > 2 else 1))
    damaged = SEALED[:start] + data[3:] + SEALED[end:]
    try:
        kept = unseal("it", damaged)
    except CheckpointError:
        return "found"
    assert kept == SOUND, "damage passed for another place"
    return "harmless"


class _Clock:
    def now(self) -> Any:
        return BIRTHDAY

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


def _usable(position: Position) -> bool:
    """Begin with a position that could be read: that works, or is refused by an error of ours."""
    store, name = MemoryStore(), "it"
    at_once(store.save(name, position, after=0))
    events: list[object] = []
    checkpointer = Checkpointer(
        store, name=name, runtime=new_runtime(events.append, clock=_Clock())
    )
    try:
        asked = Query.from_wire(position.origin)
        begun = at_once(checkpointer.load(asked if _has_start(asked) else Query.from_wire(QUERY)))
    except CheckpointError as error:
        shown(error)
        return False
    reader = _reader(begun, events)
    assert isinstance(reader._pager, Pager)
    reader._why_expired()
    line = reader._query_with_overlap().after(begun.cursor)
    assert line.isascii()
    assert line.isprintable()
    assert " " not in line
    assert (reader.query.bounded) == ("&endTime=" in begun.query)
    past = BackfillReader(
        start=begun,
        readers=3,
        open_reader=lambda start: _reader(start, events),
        server_now=lambda: None,
        runtime=new_runtime(events.append, clock=_Clock()),
    )
    past._where_to_follow_from(past._open_windows(_Clock().now()))
    return True


def _reader(start: Position, events: list[object]) -> PageReader:
    return PageReader(
        start=start,
        fetcher=SimpleNamespace(dead_cursor=None),  # type: ignore[arg-type]  # nothing is asked
        runtime=new_runtime(events.append, clock=_Clock()),
        poll_interval=5.0,
    )


def _has_start(query: Query) -> bool:
    try:
        return query.start.utcoffset() is not None
    except ValueError:
        return False


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of what never has to wait, but asks for its event loop."""
    return _runner().run(work)


@cache
def _runner() -> asyncio.Runner:
    """Return one for all cases: to make it takes longer than most of them."""
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner

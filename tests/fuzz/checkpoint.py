"""What must hold of checkpoints for any bytes in storage."""

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
from coachstream.emulator.world import DEFAULT_START
from coachstream.feed.backfill import BackfillReader
from coachstream.feed.paging import Pager
from coachstream.feed.reader import PageReader
from coachstream.models import Position
from coachstream.progress.checkpointer import Checkpointer
from coachstream.wire.query import Query
from tests.contracts.positions import QUERY, full
from tests.fuzz.wire import check_text, error_shape
from tests.support.runtimes import new_runtime

SOUND = Stored(3, encode(full(3)))
SEALED = seal(SOUND)

T = TypeVar("T")


def check(data: bytes) -> str:
    """Read ``data`` as the content of a store, and return the outcomes as words.

    Raises:
        AssertionError: A promise is broken. Any other exception is a failure, too.
    """
    return " ".join((_check_record(data), _check_sealed(data), _check_damaged(data)))


def _check_record(value: bytes) -> str:
    try:
        position = decode("it", value)
    except CheckpointError as error:
        check_text(error)
        return error_shape(error)
    assert decode("it", encode(position)) == position
    assert restore("it", Stored(1, value)) is not None
    return "position" if _usable(position) else "unusable"


def _check_sealed(sealed: bytes) -> str:
    try:
        restored = unseal("it", sealed)
    except CheckpointError as error:
        check_text(error)
        return error_shape(error)
    assert unseal("it", seal(restored)) == restored
    return "whole"


def _check_damaged(data: bytes) -> str:
    """Overwrite part of a valid checkpoint: it must be found damaged, or be unchanged."""
    start = int.from_bytes(data[:2]) % (len(SEALED) + 1)
    end = min(len(SEALED), start + (data[2] if len(data) > 2 else 1))
    damaged = SEALED[:start] + data[3:] + SEALED[end:]
    try:
        restored = unseal("it", damaged)
    except CheckpointError:
        return "detected"
    assert restored == SOUND, "damage passed for another checkpoint"
    return "harmless"


class _Clock:
    def now(self) -> Any:
        return DEFAULT_START

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


def _usable(position: Position) -> bool:
    """Start from a readable position: this must work, or raise one of our errors."""
    store, name = MemoryStore(), "it"
    run_sync(store.save(name, position, after=0))
    events: list[object] = []
    checkpointer = Checkpointer(
        store, name=name, runtime=new_runtime(events.append, clock=_Clock())
    )
    try:
        query = Query.from_wire(position.origin)
        start = run_sync(checkpointer.load(query if _has_start(query) else Query.from_wire(QUERY)))
    except CheckpointError as error:
        check_text(error)
        return False
    reader = _reader(start, events)
    assert isinstance(reader._pager, Pager)
    reader._why_expired()
    query_string = reader._query_with_overlap().after(start.cursor)
    assert query_string.isascii()
    assert query_string.isprintable()
    assert " " not in query_string
    assert (reader.query.bounded) == ("&endTime=" in start.query)
    backfill = BackfillReader(
        start=start,
        readers=3,
        open_reader=lambda start: _reader(start, events),
        server_now=lambda: None,
        runtime=new_runtime(events.append, clock=_Clock()),
    )
    backfill._where_to_follow_from(backfill._open_windows())
    return True


def _reader(start: Position, events: list[object]) -> PageReader:
    return PageReader(
        start=start,
        fetcher=SimpleNamespace(),  # type: ignore[arg-type]  # nothing is fetched
        runtime=new_runtime(events.append, clock=_Clock()),
        poll_interval=5.0,
    )


def _has_start(query: Query) -> bool:
    try:
        return query.start.utcoffset() is not None
    except ValueError:
        return False


def run_sync(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that does not wait but needs an event loop."""
    return _runner().run(work)


@cache
def _runner() -> asyncio.Runner:
    """Return one runner for all cases, as creating it takes longer than most of them."""
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner

"""Keeps a consumer's place in a store: loaded once, saved often, never moved backwards."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import anyio

from ..checkpoints import PostgresStore, Store, StoreLike, open_store
from ..checkpoints.names import checked_name
from ..checkpoints.postgres import Connection
from ..checkpoints.stored import damaged
from ..clock import Clock
from ..errors import (
    CoachStreamError,
    InvalidArgumentError,
    QueryMismatchError,
    SaveUndoneError,
    StaleCheckpointError,
)
from ..models import Position
from ..retry import RetryPolicy
from ..telemetry import CheckpointSaved, Observer, SaveFailed
from ..wire.query import Query

STORE_TIMEOUT = 30.0
"""Seconds a store may take to save or load: one that hangs must not stop a stream in silence."""
LAST_SAVE = 10.0
"""Seconds that the last save may take while everything is being cancelled."""
INTERVAL = 1.0
"""Seconds between two saves at least, while there is always something to save."""


class Checkpointer:
    """One name in one store."""

    def __init__(
        self,
        store: StoreLike,
        *,
        name: str,
        clock: Clock,
        observer: Observer,
        random: Random | None = None,
    ) -> None:
        self._store = open_store(store)
        # A store opened here is closed here.
        self._own_store = self._store if isinstance(store, str) else None
        self._name = checked_name(name)
        self._clock = clock
        self._observer = observer
        self._retry = RetryPolicy()
        self._random = random or Random()
        self._revision = 0
        self._saved: Position | None = None
        self._saved_at = float("-inf")
        self._unsure: list[Position] = []  # saves that may have happened, or not
        self._last_failure: Exception | None = None
        self._undone = False  # a transaction with a save in it was taken back
        self._undone_at: int | None = None  # the revision kept, if the last transaction was undone
        self._lock = anyio.Lock()

    @property
    def due(self) -> bool:
        """Whether the last save is long enough ago."""
        return self._clock.monotonic() - self._saved_at >= INTERVAL

    @property
    def in_transactions(self) -> bool:
        """Whether saves happen in the caller's transactions, one of which may be open now."""
        return self._undone_at is not None

    async def load(self, asked: Query) -> Position:
        """Return where to go on with the query, which is the start if nothing is kept.

        The stored query is gone on with, not the one asked for: its cursor belongs to it. A start
        that has moved on is no other query, since services compute one at each boot.

        Raises:
            QueryMismatchError: the filters are others, or the start is an earlier one.
            CheckpointError: what is stored can't be used.
        """
        with _in_time(self._name):
            kept = await self._store.load(self._name)
        if kept is None:
            return Position(query=asked.wire, origin=asked.wire)
        stored = self._sound(kept.position.origin)
        self._sound(kept.position.query)
        if stored.filters != asked.filters or asked.start < stored.start:
            raise QueryMismatchError(self._name, stored=stored.wire, asked=asked.wire)
        self._revision, self._saved = kept.revision, kept.position
        return kept.position

    def _sound(self, wire: str) -> Query:
        """Return a stored query, if it can be sent: not all storage notices its own damage."""
        query = Query.from_wire(wire)
        try:
            times = [query.start, *([query.end] if query.end else [])]
            sound = wire.isascii() and wire.isprintable() and all(one.tzinfo for one in times)
        except ValueError:
            sound = False
        if not sound or " " in wire:
            raise damaged(self._name, f"its query is {wire!r}")
        return query

    async def save(self, position: Position, *, on: Connection | None = None) -> None:
        """Keep the position, unless it is kept already; ``on`` as for `PostgresStore.save`.

        Raises:
            StaleCheckpointError: someone else has moved the checkpoint.
            Exception: what the store raised, after as many tries as the policy allows.
        """
        self._refuse_if_undone()
        async with self._lock:
            if position == self._saved:
                return
            began = self._clock.monotonic()
            if on is None:
                await self._save_patiently(position)
            else:
                await self._save_on(on, position)
            self._saved, self._saved_at = position, self._clock.monotonic()
            taken = self._saved_at - began
            self._observer(CheckpointSaved(name=self._name, revision=self._revision, seconds=taken))

    async def _save_patiently(self, position: Position) -> None:
        for attempt in itertools.count(1):
            try:
                await self._save_once(position)
            except CoachStreamError:
                raise
            except Exception as error:
                self._last_failure = error
                if attempt >= self._retry.attempts:
                    raise
                delay = self._retry.delay(attempt, self._random)
                self._observer(
                    SaveFailed(name=self._name, attempt=attempt, delay=delay, error=error)
                )
                await self._clock.sleep(delay)
            else:
                return

    def _refuse_if_undone(self) -> None:
        if self._undone:
            raise SaveUndoneError(
                f"a transaction with a save of {self._name!r} in it was taken back, so what is "
                "settled here is not settled in the store: begin a new stream"
            )

    async def finish(self, position: Position | None) -> None:
        """Save for the last time, even while all is being cancelled, and let go of the store.

        Raises:
            Exception: what `save` raises, or what kept it from ending in time.
        """
        try:
            if position is not None:
                with anyio.move_on_after(LAST_SAVE, shield=True) as scope:
                    await self.save(position)
                if scope.cancelled_caught:
                    late = TimeoutError(f"the last save of {self._name!r} did not end in time")
                    raise self._last_failure or late
        finally:
            if isinstance(self._own_store, Store):
                with anyio.CancelScope(shield=True):
                    await self._own_store.aclose()

    async def _save_on(self, connection: Connection, position: Position) -> None:
        if not isinstance(self._store, PostgresStore):
            raise InvalidArgumentError("on", "only a PostgresStore saves on a connection")
        before = self._revision
        try:
            kept = await self._store.save(self._name, position, after=before, on=connection)
        except BaseException:
            # What was to be committed with it is not, so this place must not be saved either.
            self._undone = True
            raise
        # Whether that transaction is committed, we are not told.
        self._revision, self._undone_at = kept.revision, before

    async def _save_once(self, position: Position) -> None:
        try:
            with _in_time(self._name):
                kept = await self._store.save(self._name, position, after=self._revision)
        except StaleCheckpointError:
            with _in_time(self._name):
                found = await self._store.load(self._name)
            if self._undone_at == (0 if found is None else found.revision):
                self._undone = True
                self._refuse_if_undone()
            # Our own, if an earlier save was cut off after it had happened.
            ours = found is not None and found.position in self._unsure
            if found is None or not ours or found.revision != self._revision + 1:
                raise
            self._revision = found.revision
            self._unsure.clear()
            if found.position != position:
                await self._save_once(position)
        except BaseException:
            if position not in self._unsure:
                self._unsure.append(position)
            raise
        else:
            self._revision = kept.revision
            self._undone_at = None
            self._unsure.clear()


@contextmanager
def _in_time(name: str) -> Iterator[None]:
    """Raise TimeoutError if the store takes too long, which is a failure like any other."""
    with anyio.move_on_after(STORE_TIMEOUT) as scope:
        yield
    if scope.cancelled_caught:
        raise TimeoutError(f"the store of {name!r} did not answer within {STORE_TIMEOUT:g} s")

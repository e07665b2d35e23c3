"""Loads and saves the position under one name in a store; it never moves backwards."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from ..checkpoints import PostgresStore, Store, StoreLike, open_store
from ..checkpoints.names import checked_name
from ..checkpoints.postgres import Connection
from ..checkpoints.stored import damaged
from ..errors import (
    CoachStreamError,
    InvalidArgumentError,
    QueryMismatchError,
    SaveRolledBackError,
    StaleCheckpointError,
)
from ..models import Position
from ..retry import RetryPolicy
from ..tasks import Runtime
from ..telemetry import CheckpointSaved, SaveFailed
from ..wire.query import Query

STORE_TIMEOUT = 30.0
"""Seconds a store may take to save or load: one that hangs must not stop a stream in silence."""
LAST_SAVE = 10.0
"""Seconds that the last save may take while everything is being cancelled."""
INTERVAL = 1.0
"""Seconds between two saves at least, while there is always something to save."""


class Checkpointer:
    """One name in one store."""

    def __init__(self, store: StoreLike, *, name: str, runtime: Runtime) -> None:
        self._store = open_store(store)
        # A store opened here is closed here.
        self._own_store = self._store if isinstance(store, str) else None
        self._name = checked_name(name)
        self._runtime = runtime
        self._clock = runtime.clock
        self._retry = RetryPolicy()
        self._revision = 0
        self._saved: Position | None = None
        self._saved_at = float("-inf")
        self._unsure: list[Position] = []  # saves that may have happened, or not
        self._last_failure: Exception | None = None
        self._rolled_back = False  # a transaction with a save in it was rolled back
        # The revision that is stored if the last save's transaction was rolled back.
        self._revision_if_rolled_back: int | None = None
        self._lock = anyio.Lock()

    @property
    def due(self) -> bool:
        """Whether the last save is long enough ago."""
        return self._clock.monotonic() - self._saved_at >= INTERVAL

    @property
    def in_transactions(self) -> bool:
        """Whether saves happen in the caller's transactions, one of which may be open now."""
        return self._revision_if_rolled_back is not None

    async def load(self, asked: Query) -> Position:
        """Return where to resume the query, which is its start if nothing is stored.

        The stored query is resumed, not the one asked for, because its cursor belongs to it. A
        start that has moved on is accepted, because services compute one at each boot.

        Raises:
            QueryMismatchError: the filters differ, or the start is earlier.
            CheckpointError: what is stored can't be used.
        """
        with _time_limit(self._name):
            found = await self._store.load(self._name)
        if found is None:
            return Position(query=asked.wire, origin=asked.wire)
        stored = self._checked(found.position.origin)
        self._checked(found.position.query)
        if stored.filters != asked.filters or asked.start < stored.start:
            raise QueryMismatchError(self._name, stored=stored.wire, asked=asked.wire)
        self._revision, self._saved = found.revision, found.position
        return found.position

    def _checked(self, wire: str) -> Query:
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
        """Save the position, unless it is saved already; ``on`` as for `PostgresStore.save`.

        Raises:
            StaleCheckpointError: another consumer has moved the checkpoint.
            Exception: what the store raised, after as many attempts as the policy allows.
        """
        self._refuse_after_rollback()
        async with self._lock:
            if position == self._saved:
                return
            began = self._clock.monotonic()
            if on is None:
                await self._save_with_retries(position)
            else:
                await self._save_on(on, position)
            self._saved, self._saved_at = position, self._clock.monotonic()
            self._runtime.observe(
                CheckpointSaved(
                    name=self._name, revision=self._revision, seconds=self._saved_at - began
                )
            )

    async def _save_with_retries(self, position: Position) -> None:
        for attempt in itertools.count(1):
            try:
                await self._save_once(position)
            except CoachStreamError:
                raise
            except Exception as error:
                self._last_failure = error
                if attempt >= self._retry.attempts:
                    raise
                delay = self._retry.delay(attempt, self._runtime.random)
                self._runtime.observe(
                    SaveFailed(name=self._name, attempt=attempt, delay=delay, error=error)
                )
                await self._clock.sleep(delay)
            else:
                return

    def _refuse_after_rollback(self) -> None:
        if self._rolled_back:
            raise SaveRolledBackError(
                f"a transaction with a save of {self._name!r} in it was rolled back, so what is "
                "settled here is not settled in the store: begin a new stream"
            )

    async def finish(self, position: Position | None) -> None:
        """Save for the last time, even while all is being cancelled, and close the store.

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
            saved = await self._store.save(self._name, position, after=before, on=connection)
        except BaseException:
            # What was to be committed with it is not, so this position must not be saved either.
            self._rolled_back = True
            raise
        # Whether that transaction is committed is not known here.
        self._revision, self._revision_if_rolled_back = saved.revision, before

    async def _save_once(self, position: Position) -> None:
        try:
            with _time_limit(self._name):
                saved = await self._store.save(self._name, position, after=self._revision)
        except StaleCheckpointError:
            with _time_limit(self._name):
                found = await self._store.load(self._name)
            if self._revision_if_rolled_back == (0 if found is None else found.revision):
                self._rolled_back = True
                self._refuse_after_rollback()
            # It is our own if an earlier save was cut off after it had happened.
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
            self._revision = saved.revision
            self._revision_if_rolled_back = None
            self._unsure.clear()


@contextmanager
def _time_limit(name: str) -> Iterator[None]:
    """Raise TimeoutError if the store takes too long, which is a failure like any other."""
    with anyio.move_on_after(STORE_TIMEOUT) as scope:
        yield
    if scope.cancelled_caught:
        raise TimeoutError(f"the store of {name!r} did not answer within {STORE_TIMEOUT:g} s")

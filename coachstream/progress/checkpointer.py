"""Loads and saves the position under one name in a store; it never moves backwards."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TypeVar

import anyio

from ..checkpoints import Checkpoint, PostgresStore, Store, StoreLike, open_store
from ..checkpoints.connections import Connection
from ..checkpoints.failures import BUGS, advice_on, store_error
from ..checkpoints.names import checked_name
from ..checkpoints.stored import damaged, overtaken
from ..errors import (
    CoachStreamError,
    InvalidArgumentError,
    QueryMismatchError,
    StaleCheckpointError,
    StoreError,
)
from ..models import Position
from ..retry import RetryPolicy
from ..tasks import Runtime, close_all, supervised
from ..telemetry import CheckpointSaved, LoadFailed, SaveFailed
from ..wire.query import Query
from .patience import Asking
from .revisions import Revisions

STORE_TIMEOUT = 30.0
"""Seconds a store may take to save or load: one that hangs must not stop a stream in silence."""
LAST_SAVE = 10.0
"""Seconds that closing may take: the last save, and whatever is closed with it."""
CLOSE_STORE = 1.0
"""Seconds of those that are left to close the store if the last save fails until then."""
INTERVAL = 1.0
"""Seconds between two saves at least, while there is always something to save."""
TAKEOVERS = 5
"""How often a start is saved that another consumer moves at the same time."""

T = TypeVar("T")


class Checkpointer:
    """One name in one store.

    While the store fails, it is asked again and again, as a server is: for ever, or for the time
    that the policy allows.
    """

    def __init__(
        self, store: StoreLike, *, name: str, runtime: Runtime, retry: RetryPolicy | None = None
    ) -> None:
        self._store = open_store(store)
        self._given = store
        known = isinstance(self._store, Store)
        self._shown = repr(self._store) if known else type(self._store).__name__
        self._name = checked_name(name)
        self._runtime = runtime
        self._clock = runtime.clock
        self._asking = Asking(retry or RetryPolicy(), runtime)
        self.place = store if isinstance(store, str) else id(store), self._name
        """The same for everything that saves under this name in this store."""
        self._revisions = Revisions(name)
        self._loaded = False
        self._saved: Position | None = None
        self._saved_at = float("-inf")
        self._last_failure: Exception | None = None
        self._answers = asyncio.Event()
        self._answers.set()
        self._lock = anyio.Lock()

    @property
    def due(self) -> bool:
        """Whether the last save is long enough ago."""
        return self._clock.monotonic() - self._saved_at >= INTERVAL

    @property
    def in_transaction(self) -> bool:
        """Whether the last save was in the caller's transaction, which may be open now."""
        return self._revisions.in_transaction

    @property
    def postgres(self) -> PostgresStore:
        """The store, which saves in the caller's transactions.

        Raises:
            InvalidArgumentError: it can't.
        """
        if not isinstance(self._store, PostgresStore):
            raise InvalidArgumentError("on", "only a PostgresStore saves on a connection")
        return self._store

    async def load(self, asked: Query) -> Position:
        """Return where to resume the query, which is its start if nothing is stored.

        The stored query is resumed, not the one asked for, because its cursor belongs to it. A
        start that has moved on is accepted, because services compute one at each boot.

        The position is saved at once, so that nothing is delivered if it can't be saved. An earlier
        consumer with this name finds out at its next save, and stops.

        Raises:
            QueryMismatchError: the filters differ, or the start is earlier.
            StoreError: the store failed, and waiting does not help or patience is over.
            CheckpointError: what is stored can't be used, or others move it again and again.
        """
        for left in reversed(range(TAKEOVERS)):
            position = await self._resumed(asked)
            try:
                await self.save(position)
            except StaleCheckpointError:
                if not left:
                    raise
            else:
                self._loaded = True
                return position
        raise AssertionError("the last attempt returns or raises")

    async def _resumed(self, asked: Query) -> Position:
        found = await self._patiently(self._load, LoadFailed)
        self._saved = None
        start = Position(query=asked.wire, origin=asked.wire)
        if found is not None:
            stored = self._checked(found.position.origin)
            self._checked(found.position.query)
            nothing_settled = found.position == Position(query=stored.wire, origin=stored.wire)
            fits = stored.filters == asked.filters and asked.start >= stored.start
            if not fits and not nothing_settled:
                raise QueryMismatchError(self._name, stored=stored.wire, asked=asked.wire)
            start = found.position if fits else start
        self._revisions.stored(found)
        return start

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
            SaveRolledBackError: a transaction was rolled back with a save in it, and more has been
                settled since.
            StoreError: the store failed, and waiting does not help or patience is over.
            Exception: what your connection raised.
        """
        async with self._lock:
            if position == self._saved:
                return
            began = self._clock.monotonic()
            if on is None:
                await self._patiently(partial(self._save, position), SaveFailed)
                self._saved = position
            else:
                await self._save_on(on, position)
            self._saved_at = self._clock.monotonic()
            self._runtime.observe(
                CheckpointSaved(
                    name=self._name,
                    revision=self._revisions.current,
                    seconds=self._saved_at - began,
                )
            )

    @property
    def answers(self) -> bool:
        """Whether the store does not fail at the moment."""
        return self._answers.is_set()

    async def until_it_answers(self) -> None:
        """Wait while the store fails, so that what is settled but not saved stays bounded."""
        await self._answers.wait()

    async def finish(
        self, position: Position | None, *closers: Callable[[], Awaitable[None]]
    ) -> None:
        """Save for the last time, close the store, and at the same time what else is given.

        Nothing is saved over a position that was never loaded.
        All of it takes no longer than `LAST_SAVE`. Cancellations are raised when it is over.

        Raises:
            Exception: what `save` or a closer raises, or what kept the save from ending in time.
        """
        self._answers.set()
        try:
            closers = (*closers, partial(self._finish, position))
            await close_all(closers, self._runtime, within=LAST_SAVE)
        except TimeoutError as late:
            raise self._last_failure or late from None
        finally:
            self._asking.stop()  # whoever else waits for the store learns what is wrong with it

    async def _finish(self, position: Position | None) -> None:
        async with AsyncExitStack() as stack:
            if isinstance(self._given, str) and isinstance(self._store, Store):
                await stack.enter_async_context(self._store)  # it was opened here
            # The caller's transaction may be open; it decides about the save in it.
            if position is not None and self._loaded and not self.in_transaction:
                with anyio.move_on_after(LAST_SAVE - CLOSE_STORE) as scope:
                    await self.save(position)
                if scope.cancelled_caught:
                    late = TimeoutError("the last save did not end in time")
                    raise self._last_failure or self._failure(f"saving {self._name!r}", late)

    async def _patiently(
        self, call: Callable[[], Awaitable[T]], event: type[SaveFailed] | type[LoadFailed]
    ) -> T:
        """Return what the call returns; while the store fails, wait and call again."""

        def report(attempt: int, delay: float, error: Exception) -> None:
            self._last_failure = error
            self._answers.clear()
            self._runtime.observe(event(name=self._name, attempt=attempt, delay=delay, error=error))

        try:
            result = await self._asking.ask(call, report)
        except Exception as error:
            self._last_failure = error
            raise
        finally:
            self._answers.set()
        self._last_failure = None
        return result

    async def _save(self, position: Position) -> None:
        if self.in_transaction:
            await self._find_out(position)
        try:
            saved = await self._write(position)
        except StaleCheckpointError:
            # It is our own if an earlier save was cut off after it had happened.
            found = await self._load()
            if found is None or not self._revisions.go_on_from(found, position):
                raise
            saved = found if found.position == position else await self._write(position)
        self._revisions.stored(saved)

    async def _save_on(self, connection: Connection, position: Position) -> None:
        """Save in the caller's transaction; whether that is committed is not known here."""
        if self.in_transaction:
            await self._find_out(position, on=connection)
        self._saved = None
        await self._write(position, on=connection)

    async def _find_out(self, position: Position, *, on: Connection | None = None) -> None:
        """Find out which of our saves in transactions is stored, and go on from there."""
        if not self._revisions.go_on_from(await self._load(on=on), position):
            raise overtaken(self._name, self._revisions.current)

    async def _load(self, *, on: Connection | None = None) -> Checkpoint | None:
        load = self._store.load if on is None else partial(self.postgres.load, on=on)
        return await self._call(partial(load, self._name), "loading", on)

    async def _write(self, position: Position, *, on: Connection | None = None) -> Checkpoint:
        after = self._revisions.current
        save = self._store.save if on is None else partial(self.postgres.save, on=on)
        try:
            saved = await self._call(partial(save, self._name, position, after=after), "saving", on)
        except StaleCheckpointError:
            raise
        except BaseException:  # whether it has happened is not known
            self._revisions.attempted(position, in_transaction=on is not None)
            raise
        if on is not None:
            self._revisions.attempted(position, in_transaction=True)
            self._revisions.current = saved.revision
        return saved

    async def _call(self, call: Callable[[], Awaitable[T]], doing: str, on: Connection | None) -> T:
        """Return what the call returns; explain its errors, but not those of your connection."""
        what = f"{doing} {self._name!r}"
        try:
            return await supervised(call, what, self._runtime, within=STORE_TIMEOUT)
        except (CoachStreamError, *BUGS):
            raise
        except Exception as error:
            if on is not None:
                raise
            raise self._failure(what, error) from error

    def _failure(self, doing: str, error: Exception) -> StoreError:
        return store_error(self._shown, doing, error, advice_on(error))

"""A store that is slow or fails, and reports each saved position to the checker."""

import asyncio
from random import Random

from coachstream import Position
from coachstream.checkpoints import Checkpoint, MemoryStore
from tests.simulate.checker import Checker
from tests.simulate.fault_schedule import FaultSchedule
from tests.simulate.journal import Journal
from tests.support.virtual_time import pass_time


class StoreUnavailable(Exception):  # noqa: N818  # named like a driver's exception
    """Raised by the store on purpose."""


class FaultyStore:
    """The store of one subject."""

    def __init__(
        self, checker: Checker, faults: FaultSchedule, journal: Journal, chance: Random
    ) -> None:
        self.checkpoint: Checkpoint | None = None
        """The stored checkpoint, for tests to read."""
        self.crashed = False
        """True after the client has crashed; nothing is stored then."""
        self._memory = MemoryStore()
        self._checker = checker
        self._faults = faults
        self._journal = journal
        self._chance = chance

    async def load(self, name: str) -> Checkpoint | None:
        kind = self._faults.draw_fault("load")
        await self._wait(40.0 if kind == "load is slow" else 0.01)
        if kind == "load fails":
            raise StoreUnavailable("load")
        return await self._memory.load(name)

    async def save(self, name: str, position: Position, *, after: int) -> Checkpoint:
        kind = self._faults.draw_fault("save")
        try:
            await self._wait({"save is slow": 8.0, "save hangs": 300.0}.get(kind or "", 0.01))
            if kind == "save fails":
                raise StoreUnavailable("save")
            await self._store_position(name, position, after)
            await self._wait(0.01)
        except asyncio.CancelledError:
            self._journal.fault("save cancelled halfway")
            raise
        if kind == "save fails after it was stored":
            raise StoreUnavailable("after it was stored")
        assert self.checkpoint is not None
        return self.checkpoint

    async def _store_position(self, name: str, position: Position, after: int) -> None:
        checkpoint = await self._memory.save(name, position, after=after)
        self._checker.saved(position)
        self._journal.note("saved", name, checkpoint.revision, len(position.settled))
        if checkpoint.revision != (1 if self.checkpoint is None else self.checkpoint.revision + 1):
            self._journal.violation("a revision never goes back", checkpoint.revision)
        self.checkpoint = checkpoint

    async def _wait(self, longest: float) -> None:
        await self._hang_if_crashed()
        await pass_time(longest * self._chance.random())
        await self._hang_if_crashed()

    async def _hang_if_crashed(self) -> None:
        if self.crashed:
            await asyncio.Event().wait()

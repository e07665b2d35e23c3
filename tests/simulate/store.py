"""A store that fails, is slow, and remembers what it was told is settled."""

import asyncio
from random import Random

from coachstream import Position
from coachstream.checkpoints import Checkpoint, MemoryStore
from tests.simulate.journal import Journal
from tests.simulate.skies import Skies
from tests.simulate.watch import Watch
from tests.support.virtual_time import pass_time


class StoreDown(Exception):  # noqa: N818  # as a database's driver would raise it
    """The store did not answer."""


class ShakyStore:
    """Checkpoints of one subject."""

    def __init__(self, watch: Watch, skies: Skies, journal: Journal, chance: Random) -> None:
        self.kept: Checkpoint | None = None
        """What is kept, for those who watch."""
        self.dead = False
        """Whether whoever writes has died; the dead write nothing."""
        self._memory = MemoryStore()
        self._watch = watch
        self._skies = skies
        self._journal = journal
        self._chance = chance

    async def load(self, name: str) -> Checkpoint | None:
        kind = self._skies.strike("load")
        await self._wait(40.0 if kind == "load is slow" else 0.01)
        if kind == "load fails":
            raise StoreDown("load")
        return await self._memory.load(name)

    async def save(self, name: str, position: Position, *, after: int) -> Checkpoint:
        kind = self._skies.strike("save")
        try:
            await self._wait({"save is slow": 8.0, "save hangs": 300.0}.get(kind or "", 0.01))
            if kind == "save fails":
                raise StoreDown("save")
            await self._keep(name, position, after)
            await self._wait(0.01)
        except asyncio.CancelledError:
            self._journal.fault("save cancelled halfway")
            raise
        if kind == "save fails after it happened":
            raise StoreDown("after it happened")
        assert self.kept is not None
        return self.kept

    async def _keep(self, name: str, position: Position, after: int) -> None:
        kept = await self._memory.save(name, position, after=after)
        self._watch.saved(position)
        self._journal.note("saved", name, kept.revision, len(position.settled))
        if kept.revision != (1 if self.kept is None else self.kept.revision + 1):
            self._journal.violate("a place never goes back", kept.revision)
        self.kept = kept

    async def _wait(self, longest: float) -> None:
        await self._live()
        await pass_time(longest * self._chance.random())
        await self._live()

    async def _live(self) -> None:
        if self.dead:
            await asyncio.Event().wait()

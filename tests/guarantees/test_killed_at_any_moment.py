"""Promises 1 to 3 with nothing simulated: real processes on a real disk, killed outright."""

import asyncio
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from coachstream import SystemClock
from coachstream.checkpoints import Checkpoint, opened
from coachstream.emulator import Emulator, World
from tests.contracts.storages import EMBEDDED
from tests.guarantees.histories import Key, Witness
from tests.guarantees.victim import NAME

KILLS = int(os.environ.get("COACHSTREAM_KILLS", "20"))
PATIENCE = 20.0
"""Seconds without a word after which a process has nothing more to say."""
ROOT = Path(__file__).parents[2]
VICTIM = Path(__file__).with_name("victim.py")


class Life:
    """One run of the victim."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._log = log
        self.acknowledged = 0
        """The last revision it has said is saved."""
        self.done_before: dict[int, set[Key]] = {}
        """What it was done with when it said that one is saved; in the next that is settled."""
        self._done: set[Key] = set()

    async def word(self) -> list[str]:
        """Return what it says next."""
        async with asyncio.timeout(PATIENCE):
            words = (await self._stdout.readline()).decode().split()
        assert words, "it has ended by itself"
        return self._hear(words)

    async def kill(self) -> None:
        """Kill it outright."""
        self._process.kill()
        await self._end()
        assert self._process.returncode == -signal.SIGKILL

    async def let_go(self) -> None:
        """Have it stop, and see that it does so well."""
        self._stdin.close()
        async with asyncio.timeout(PATIENCE):
            await self._end()
        assert self._process.returncode == 0

    async def handled(self) -> list[tuple[Key, str]]:
        """Return the versions it has handled and their drivers, in that order."""
        lines = (await asyncio.to_thread(self._log.read_text)).splitlines()
        return [((name, stamp), driver) for name, stamp, driver in map(str.split, lines)]

    async def _end(self) -> None:
        rest = (await self._stdout.read()).decode()
        for line in rest.splitlines():
            self._hear(line.split())
        await self._process.wait()

    def _hear(self, words: list[str]) -> list[str]:
        if words[0] == "saved":
            self.acknowledged = int(words[1])
            self.done_before[self.acknowledged] = self._done.copy()
        elif words[0] == "done":
            self._done.add((words[1], words[2]))
        return words


@asynccontextmanager
async def life(url: str, store: str, log: Path) -> AsyncIterator[Life]:
    """Start the victim, and yield when it has begun."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(VICTIM), url, store, str(log)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        one = Life(process, log)
        assert await one.word() == ["begun"]
        yield one
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def until_the_moment(one: Life, world: World, chance: Random) -> None:
    """Return after so many versions or so much time, while the world lives on."""
    left = chance.randint(0, 60)
    with suppress(TimeoutError):
        async with asyncio.timeout(chance.uniform(0.05, 0.6)):
            while left:
                if (await one.word())[0] == "handled":
                    left -= 1
                    if chance.random() < 0.3:
                        change(world, chance)
    await SystemClock().sleep(chance.uniform(0, 0.03))  # or it would always die of a handler's word


def change(world: World, chance: Random) -> None:
    """Do something to some session."""
    act = chance.choice(["add", "add", "annotate", "complete", "delete"])
    if act == "add":
        world.add_session()
    elif act == "annotate":
        world.annotate(chance.choice(sorted(world.record.sessions)), "a note")
    else:
        getattr(world, act)(chance.choice(sorted(world.record.sessions)))


async def look(kind: str, home: Path, copy: Path) -> Checkpoint | None:
    """Load what is stored, from a copy: opening it would tidy up what the dead left behind."""
    await asyncio.to_thread(shutil.copytree, home, copy)
    async with opened(f"{kind}:{copy / 'state'}") as store:
        return await store.load(NAME)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", EMBEDDED)
async def test_killed_at_any_moment_it_loses_nothing_and_repeats_only_the_unsettled(kind, tmp_path):
    chance = Random(f"{kind} {KILLS}")
    world = World(11, drivers=12, sessions=300, changes_per_hour=0)
    emulator = Emulator(world, page_size=(3, 9), sessions_per_second=None)
    witness = Witness(emulator)
    home = tmp_path / "home"
    home.mkdir()
    settled: set[Key] = set()
    forgotten: set[Key] = set()
    revision = unheard = 0
    lines: Counter[Key] = Counter()
    async with emulator:
        for number in range(KILLS + 1):
            for _ in range(10):
                change(world, chance)
            store = f"{kind}:{home / 'state'}"
            async with life(emulator.url, store, tmp_path / f"life {number}") as one:
                if number < KILLS:
                    await until_the_moment(one, world, chance)
                    await one.kill()
                else:
                    with suppress(TimeoutError):  # what is missing then, the end will tell
                        while witness.missing:
                            word = await one.word()
                            if word[0] == "handled":
                                witness.handled.add((word[1], word[2]))
                    await one.let_go()
            handled = await one.handled()
            for version, driver in handled:
                witness.begun[number, driver].append(version)
            seen = {version for version, _ in handled}
            assert len(seen) == len(handled), "handled twice in one life"
            lines.update(seen)
            witness.handled |= seen
            witness.again |= seen & settled
            # What the store acknowledged is there; and maybe one more, of which it could not tell.
            acknowledged = max(revision, one.acknowledged)
            kept = await look(kind, home, tmp_path / f"copy {number}")
            revision = 0 if kept is None else kept.revision
            assert revision in {acknowledged, acknowledged + 1}
            unheard += revision > acknowledged
            settled = set() if kept is None else witness.claimed(kept.position)
            witness.lies |= settled - witness.handled
            # Of what has a later version by now, the cursor can't tell.
            done = one.done_before.get(revision - 1, set())
            forgotten |= (done & world.latest()) - settled
    twice = sum(count > 1 for count in lines.values())
    print(  # noqa: T201  # for whoever wants to know what this was worth
        f"\n{kind}: {KILLS} kills, {unheard} of them between a save and its acknowledgement; "
        f"{revision} saves, {len(world.versions())} versions, {lines.total()} handled lines, "
        f"{twice} handled twice"
    )
    assert witness.missing == set()
    assert witness.lies == set()
    assert witness.again == set()
    assert forgotten == set()
    assert witness.disordered == []
    assert world.latest() <= settled

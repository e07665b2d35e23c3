"""Promises 1 to 3 without simulation: real processes on a real disk are killed."""

import asyncio
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from operator import attrgetter
from pathlib import Path
from random import Random

import pytest

from coachstream import SystemClock
from coachstream.checkpoints import Checkpoint, opened
from coachstream.emulator import Emulator, World
from tests.contracts.storages import EMBEDDED
from tests.guarantees.consumer_process import NAME
from tests.guarantees.histories import Recorder
from tests.support.versions import Identity

KILLS = int(os.environ.get("COACHSTREAM_KILLS", "12"))
TIMEOUT = 20.0
"""Seconds to wait for a message of the process, or for its end."""
ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("consumer_process.py")


class ConsumerProcess:
    """One run of the consumer."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._log = log
        self.acknowledged = 0
        """The last revision that it reported as saved."""
        self.done_before: dict[int, set[Identity]] = {}
        """The versions it was done with when it reported a save; the next save settles them."""
        self._done: set[Identity] = set()

    async def read_message(self) -> list[str]:
        """Return its next message."""
        async with asyncio.timeout(TIMEOUT):
            words = (await self._stdout.readline()).decode().split()
        assert words, "the process has ended"
        return self._record(words)

    async def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        await self._wait_for_end()
        assert self._process.returncode == -signal.SIGKILL

    async def stop(self) -> None:
        """Stop the consumer, and check that it ends without an error."""
        self._stdin.close()
        async with asyncio.timeout(TIMEOUT):
            await self._wait_for_end()
        assert self._process.returncode == 0

    async def handled(self) -> list[tuple[Identity, str]]:
        """Return the handled versions and their drivers, in the order of handling."""
        lines = (await asyncio.to_thread(self._log.read_text)).splitlines()
        return [((name, stamp), driver) for name, stamp, driver in map(str.split, lines)]

    async def _wait_for_end(self) -> None:
        rest = (await self._stdout.read()).decode()
        for line in rest.splitlines():
            self._record(line.split())
        await self._process.wait()

    def _record(self, words: list[str]) -> list[str]:
        if words[0] == "saved":
            self.acknowledged = int(words[1])
            self.done_before[self.acknowledged] = self._done.copy()
        elif words[0] == "done":
            self._done.add((words[1], words[2]))
        return words


@asynccontextmanager
async def start_process(url: str, store: str, log: Path) -> AsyncIterator[ConsumerProcess]:
    """Start the consumer, and yield when it runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(SCRIPT), url, store, str(log)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        consumer = ConsumerProcess(process, log)
        assert await consumer.read_message() == ["started"]
        yield consumer
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def run_for_a_while(consumer: ConsumerProcess, world: World, chance: Random) -> None:
    """Wait for some versions or some time, while the world changes."""
    left = chance.randint(0, 60)
    with suppress(TimeoutError):
        async with asyncio.timeout(chance.uniform(0.05, 0.6)):
            while left:
                if (await consumer.read_message())[0] == "handled":
                    left -= 1
                    if chance.random() < 0.3:
                        change(world, chance)
    # Without this, it would always be killed just after a message.
    await SystemClock().sleep(chance.uniform(0, 0.03))


def change(world: World, chance: Random) -> None:
    """Add or change a session."""
    kind = chance.choice(["add", "add", "annotate", "complete", "delete"])
    if kind == "add":
        world.add_session()
    elif kind == "annotate":
        world.annotate(chance.choice(sorted(world.record.sessions)), "a note")
    else:
        getattr(world, kind)(chance.choice(sorted(world.record.sessions)))


async def load_copy(kind: str, home: Path, copy: Path) -> Checkpoint | None:
    """Load the checkpoint from a copy: opening the store itself would clean up after the crash."""
    await asyncio.to_thread(shutil.copytree, home, copy)
    async with opened(f"{kind}:{copy / 'state'}") as store:
        return await store.load(NAME)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", EMBEDDED)
async def test_killed_at_any_moment_it_loses_nothing_and_repeats_only_the_unsettled(kind, tmp_path):
    chance = Random(f"{kind} {KILLS}")
    world = World(11, drivers=12, sessions=300, changes_per_hour=0)
    emulator = Emulator(world, page_size=(3, 9), sessions_per_second=None)
    # The process reports keys, which are unique in this world.
    recorder = Recorder(emulator, attrgetter("key"))
    home = tmp_path / "home"
    home.mkdir()
    settled: set[Identity] = set()
    not_settled: set[Identity] = set()
    revision = unacknowledged = 0
    times_handled: Counter[Identity] = Counter()
    async with emulator:
        for number in range(KILLS + 1):
            for _ in range(10):
                change(world, chance)
            store = f"{kind}:{home / 'state'}"
            async with start_process(emulator.url, store, tmp_path / f"run {number}") as consumer:
                if number < KILLS:
                    await run_for_a_while(consumer, world, chance)
                    await consumer.kill()
                else:
                    with suppress(TimeoutError):  # the assertions at the end show what is missing
                        while recorder.missing:
                            message = await consumer.read_message()
                            if message[0] == "handled":
                                recorder.handled.add((message[1], message[2]))
                    await consumer.stop()
            handled = await consumer.handled()
            for version, driver in handled:
                recorder.started[number, driver].append(version)
            seen = {version for version, _ in handled}
            assert len(seen) == len(handled), "handled twice in one run"
            times_handled.update(seen)
            recorder.handled |= seen
            recorder.redelivered |= seen & settled
            # The last acknowledged save is stored, or one more, killed before its acknowledgement.
            acknowledged = max(revision, consumer.acknowledged)
            saved = await load_copy(kind, home, tmp_path / f"copy {number}")
            revision = 0 if saved is None else saved.revision
            assert revision in {acknowledged, acknowledged + 1}
            unacknowledged += revision > acknowledged
            settled = set() if saved is None else recorder.claimed(saved.position)
            recorder.false_claims |= settled - recorder.handled
            # Versions that were superseded meanwhile can't be compared with the cursor.
            done = consumer.done_before.get(revision - 1, set())
            not_settled |= (done & world.latest()) - settled
    twice = sum(count > 1 for count in times_handled.values())
    print(  # noqa: T201  # pytest -s shows what was tested
        f"\n{kind}: {KILLS} kills, {unacknowledged} of them before the acknowledgement of a save; "
        f"{revision} saves, {len(world.versions())} versions, "
        f"handled {times_handled.total()} times, {twice} of them twice"
    )
    assert recorder.missing == set()
    assert recorder.false_claims == set()
    assert recorder.redelivered == set()
    assert not_settled == set()
    assert recorder.out_of_order == []
    assert world.latest() <= settled

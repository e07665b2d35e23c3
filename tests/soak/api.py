"""An emulator in a process of its own, with many changes and occasional faults.

It prints its URL, and ends when its standard input does.
"""

import asyncio
import sys
from random import Random

from coachstream import SystemClock
from coachstream.emulator import (
    Emulator,
    World,
    cut_short,
    empty_page,
    garble,
    hang_up,
    refuse,
    slow,
)

FAULTS = (
    refuse(429, retry_after=0.2),
    refuse(503),
    hang_up(),
    cut_short(100),
    garble(),
    empty_page(),
    slow(0.5),
)
CHANGES_PER_SECOND = 400
MOST_SESSIONS = 3000
"""The most sessions; after that, only existing ones change."""


async def change_world(api: Emulator, chance: Random) -> None:
    """Add and change sessions, and inject faults."""
    clock, world = SystemClock(), api.world
    known = sorted(world.record.sessions)
    while True:
        for _ in range(CHANGES_PER_SECOND // 10):
            if len(known) < MOST_SESSIONS:
                known.append(world.add_session())
            else:
                world.annotate(chance.choice(known), f"note {chance.random()}")
        world.record.every.compact()  # or the emulator would grow and slow down
        for log in world.record._by_driver.values():
            log.compact()
        if chance.random() < 0.05:
            api.faults.append(chance.choice(FAULTS))
        await clock.sleep(0.1)


async def main() -> None:
    """Serve until standard input ends."""
    chance = Random(1)
    world = World(1, sessions=1000, changes_per_hour=0)
    async with Emulator(world, page_size=(20, 100), sessions_per_second=None, remember=100) as api:
        sys.stdout.write(f"{api.url}\n")
        sys.stdout.flush()
        changing = asyncio.create_task(change_world(api, chance))
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.read()
        changing.cancel()
        await asyncio.wait((changing,))


if __name__ == "__main__":
    asyncio.run(main())

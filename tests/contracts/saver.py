"""A process that saves until it is killed, and prints the revision after each save."""

import asyncio
import sys

from coachstream.checkpoints import open_store
from coachstream.models import Position


async def main(url: str, name: str) -> None:
    store = open_store(url)
    found = await store.load(name)
    revision = 0 if found is None else found.revision
    while True:
        # Long and short in turn, so that a half-written save is noticed.
        cursor = str(revision + 1) * (20_000 if revision % 2 else 1)
        position = Position(query="q", origin="q", cursor=cursor)
        revision = (await store.save(name, position, after=revision)).revision
        print(revision, flush=True)  # noqa: T201  # the test reads it


asyncio.run(main(sys.argv[1], sys.argv[2]))

"""Keep the place in a file, so that a restart goes on where the last run was stopped.

    SAMSARA_API_TOKEN=... python examples/resume.py place.json

Sessions that were handled after the place was last saved come again: act on ``session.key`` only
once, or as here write to something where twice is as good as once.
"""

import asyncio
import sys
from datetime import UTC, datetime

import anyio
import msgspec

from coachstream import Client, Position

SINCE = datetime(2026, 1, 1, tzinfo=UTC)  # fixed: the server binds a cursor to the start time


async def main(place: anyio.Path, base_url: str | None = None) -> None:
    """Print the id of each version and keep the place page by page."""
    after = None
    if await place.exists():
        after = msgspec.json.decode(await place.read_bytes(), type=Position).cursor
    async with Client(base_url=base_url) as client:
        stream = client.sessions.stream(start_time=SINCE, after=after)
        async for page in stream.pages():
            # The page before this one is settled, and only that is what the position tells of.
            await place.write_bytes(msgspec.json.encode(stream.position))
            for session in page.sessions:
                print(session.id, session.updated_at_time.isoformat())


if __name__ == "__main__":
    asyncio.run(main(anyio.Path(sys.argv[1])))

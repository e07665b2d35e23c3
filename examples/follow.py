"""Follow the feed and print each version of a session; Ctrl-C stops it.

    SAMSARA_API_TOKEN=... python examples/follow.py

Without a token, run `coachstream emulate` in another terminal, and set SAMSARA_API_TOKEN=any and
SAMSARA_BASE_URL to the URL that it prints.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from coachstream import Client, SessionStatus


async def main() -> None:
    """Print what changes, from a day ago on, for ever."""
    since = datetime.now(UTC) - timedelta(days=1)
    async with Client() as client:
        async for session in client.sessions.stream(start_time=since):
            if session.session_status == SessionStatus.DELETED:
                print(f"{session.id}: gone")
            else:
                names = ", ".join(one.coachable_behavior_type for one in session.behaviors)
                print(f"{session.id}: {session.session_status}, driver", end=" ")
                print(f"{session.driver.driver_id}: {names or 'nothing to coach'}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())

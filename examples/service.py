"""Follow the feed in a container, which stops its programs with SIGTERM.

    SAMSARA_API_TOKEN=... python examples/service.py position.db

After SIGTERM or Ctrl-C no handler starts any more, those that run have five seconds to finish, and
the position is saved. Kubernetes kills a container thirty seconds after its SIGTERM.
"""

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta

from coachstream import Client, CoachingSession, consume


async def on_session(session: CoachingSession) -> None:
    """Do the work of one session."""
    print(session.id, session.session_status)


async def main(path: str) -> None:
    """Follow the feed until a signal comes."""
    closing: set[asyncio.Task[None]] = set()
    async with Client() as client:
        stream = client.sessions.stream(start_time=datetime.now(UTC) - timedelta(days=1))

        def stop() -> None:
            closing.add(asyncio.create_task(stream.aclose()))  # then consume() returns

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)  # not on Windows
        report = await consume(
            stream, on_session, name="service", store=f"sqlite:{path}", drain_timeout=5
        )
        print(f"stopped: {report.handled} handled, {report.unsettled} to be delivered again")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

"""The world's time, and the only place where the emulator waits."""

import asyncio
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970, rounded down."""
    return (moment - EPOCH) // MILLISECOND


def from_ms(ms: int) -> datetime:
    """Return the time ``ms`` milliseconds after the start of 1970, in UTC."""
    return EPOCH + ms * MILLISECOND


def stamp_text(ms: int) -> str:
    """Format a time as the API does: RFC 3339 in UTC, with milliseconds and a ``Z``.

    Responses are always in UTC: https://developers.samsara.com/docs/timestamps.
    """
    return from_ms(ms).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


class WorldClock:
    """Derives the world's time from the event loop's, and waits on the loop.

    The world's time is ``start``, plus ``speed`` seconds per second of the loop, plus every jump.
    The loop is the only source, so with virtual time on the loop the world's time is virtual too.
    Create it inside a running loop.
    """

    def __init__(self, start: datetime, *, speed: float = 1.0) -> None:
        self._start = start
        self._speed = speed
        self._jumped = timedelta()
        self._loop = asyncio.get_running_loop()
        self._loop_start = self._loop.time()

    def elapsed(self) -> float:
        """Return the seconds of the loop since this clock was created."""
        return self._loop.time() - self._loop_start

    def now(self) -> datetime:
        """Return the world's time in whole milliseconds, like all stamps of the world."""
        passed = timedelta(seconds=self.elapsed() * self._speed)
        return from_ms(to_ms(self._start + passed + self._jumped))

    def jump(self, ahead: timedelta) -> None:
        """Move the world's time ahead without waiting."""
        if ahead < timedelta():
            raise ValueError("the world's time can only move ahead")
        self._jumped += ahead

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds`` of the loop's time, which ``speed`` does not scale."""
        await asyncio.sleep(seconds)

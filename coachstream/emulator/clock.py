"""The world's time, and the only waiting the emulator does."""

import asyncio
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970, cut off rather than rounded."""
    return (moment - EPOCH) // MILLISECOND


def from_ms(ms: int) -> datetime:
    """Return the aware moment that lies ``ms`` milliseconds after 1970 began."""
    return EPOCH + ms * MILLISECOND


def stamp_text(ms: int) -> str:
    """Spell a moment as the API does: RFC 3339 in UTC, with milliseconds and a ``Z``.

    That answers are always in UTC: https://developers.samsara.com/docs/timestamps.
    """
    return from_ms(ms).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


class WorldClock:
    """Turns the event loop's time into the world's, and waits on the loop.

    The world's time is its time at birth, plus ``speed`` seconds for each second of the loop, plus
    every jump. The loop is the only source, so a loop with virtual time carries the world along.
    Make it inside a running loop.
    """

    def __init__(self, birth: datetime, *, speed: float = 1.0) -> None:
        self._birth = birth
        self._speed = speed
        self._jumped = timedelta()
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()

    def elapsed(self) -> float:
        """Return the loop's seconds since this clock was made."""
        return self._loop.time() - self._start

    def now(self) -> datetime:
        """Return the world's time, in whole milliseconds as all the world's stamps are."""
        lived = timedelta(seconds=self.elapsed() * self._speed)
        return from_ms(to_ms(self._birth + lived + self._jumped))

    def jump(self, ahead: timedelta) -> None:
        """Move the world's time ahead without waiting."""
        if ahead < timedelta():
            raise ValueError("the world's time only goes ahead")
        self._jumped += ahead

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` of the loop have passed; they are not scaled by the speed."""
        await asyncio.sleep(seconds)

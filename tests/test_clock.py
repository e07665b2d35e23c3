"""The system clock, and durations as arguments."""

from datetime import timedelta

import pytest

from coachstream import InvalidArgumentError, SystemClock
from coachstream.arguments import seconds


async def test_the_system_clock_is_timezone_aware_and_advances():
    clock = SystemClock()
    today, then = clock.now(), clock.monotonic()
    await clock.sleep(0.001)
    assert clock.now() >= today
    assert today.utcoffset() == timedelta()
    assert clock.monotonic() > then


@pytest.mark.parametrize("value", [2, 2.0, timedelta(seconds=2)])
def test_a_duration_is_seconds_or_a_timedelta(value):
    assert seconds("x", value) == 2.0


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), timedelta(), "5", True, None])
def test_anything_else_is_refused_with_the_name_of_the_argument(value):
    with pytest.raises(InvalidArgumentError, match="^poll_interval: "):
        seconds("poll_interval", value)

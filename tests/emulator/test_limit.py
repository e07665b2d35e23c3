"""The limit holds in every second, however the requests fall."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream.emulator.limit import SlidingLimit

# Pauses on a grid of 1/64 s add up without rounding.
PAUSES = st.lists(st.integers(0, 40).map(lambda n: n / 64), max_size=80)


@given(pauses=PAUSES, rate=st.integers(1, 7))
def test_no_second_holds_more_than_the_rate(pauses, rate):
    limit, now = SlidingLimit(rate), 0.0
    passed: list[float] = []
    for pause in pauses:
        now += pause
        inside = [at for at in passed if now - at < 1]
        wait = limit.wait_for_room(now)
        assert (wait == 0) == (len(inside) < rate)
        if wait == 0:
            passed.append(now)


@given(pauses=PAUSES, rate=st.integers(1, 7))
def test_who_waits_as_told_gets_through(pauses, rate):
    limit, now = SlidingLimit(rate), 0.0
    for pause in pauses:
        now += pause
        wait = limit.wait_for_room(now)
        assert 0 <= wait <= 1
        assert wait == float(f"{wait:.5f}")
        if wait:
            now += wait
            assert limit.wait_for_room(now) == 0


def test_a_refused_request_takes_up_no_room():
    limit = SlidingLimit(1)
    assert limit.wait_for_room(0.0) == 0
    for _ in range(10):
        assert limit.wait_for_room(0.9) == pytest.approx(0.1)
    assert limit.wait_for_room(1.0) == 0


def test_a_rate_below_one_is_kept_over_a_longer_while():
    limit = SlidingLimit(0.25)
    assert limit.wait_for_room(0) == 0
    assert limit.wait_for_room(1) == 3
    assert limit.wait_for_room(4) == 0


def test_a_rate_is_more_than_nothing():
    with pytest.raises(ValueError, match="zero"):
        SlidingLimit(0)


def test_the_wait_has_at_most_five_decimals():
    limit = SlidingLimit(5)
    for at in (0, 0.1, 0.2, 0.3, 1 / 3):
        limit.wait_for_room(at)
    assert re.fullmatch(r"0\.\d{1,5}", str(limit.wait_for_room(2 / 3)))

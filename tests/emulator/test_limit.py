"""The limit holds in every second, whenever requests arrive."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream.emulator.limit import SlidingLimit

# Multiples of 1/64 s add up without rounding.
PAUSES = st.lists(st.integers(0, 40).map(lambda n: n / 64), max_size=80)


@given(pauses=PAUSES, rate=st.integers(1, 7))
def test_no_second_holds_more_than_the_rate(pauses, rate):
    limit, now = SlidingLimit(rate), 0.0
    allowed: list[float] = []
    for pause in pauses:
        now += pause
        inside = [at for at in allowed if now - at < 1]
        wait = limit.try_acquire(now)
        assert (wait == 0) == (len(inside) < rate)
        if wait == 0:
            allowed.append(now)


@given(pauses=PAUSES, rate=st.integers(1, 7))
def test_a_request_is_allowed_after_the_wait(pauses, rate):
    limit, now = SlidingLimit(rate), 0.0
    for pause in pauses:
        now += pause
        wait = limit.try_acquire(now)
        assert 0 <= wait <= 1
        assert wait == float(f"{wait:.5f}")
        if wait:
            now += wait
            assert limit.try_acquire(now) == 0


def test_a_refused_request_does_not_count():
    limit = SlidingLimit(1)
    assert limit.try_acquire(0.0) == 0
    for _ in range(10):
        assert limit.try_acquire(0.9) == pytest.approx(0.1)
    assert limit.try_acquire(1.0) == 0


def test_a_rate_below_one_is_enforced_over_a_longer_window():
    limit = SlidingLimit(0.25)
    assert limit.try_acquire(0) == 0
    assert limit.try_acquire(1) == 3
    assert limit.try_acquire(4) == 0


def test_a_rate_must_be_more_than_zero():
    with pytest.raises(ValueError, match="zero"):
        SlidingLimit(0)


def test_the_wait_has_at_most_five_decimals():
    limit = SlidingLimit(5)
    for at in (0, 0.1, 0.2, 0.3, 1 / 3):
        limit.try_acquire(at)
    assert re.fullmatch(r"0\.\d{1,5}", str(limit.try_acquire(2 / 3)))

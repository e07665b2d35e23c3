"""Whether to retry, and after what delay."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream import InvalidArgumentError, RetryPolicy
from coachstream.retry import Patience

durations = st.floats(0.001, 1e6)


@given(st.integers(1, 10**9), durations, durations, st.randoms(use_true_random=False))
def test_a_delay_stays_below_the_doubling_ceiling(attempt, first, most, random):
    policy = RetryPolicy(first_delay=first, max_delay=most)
    delay = policy.delay(attempt, random)
    assert 0 <= delay <= most
    assert delay <= first * 2.0 ** min(attempt - 1, 60)


@given(st.integers(1, 1000), st.floats(0, 1e9), st.randoms(use_true_random=False))
def test_retry_after_is_a_minimum(attempt, retry_after, random):
    delay = RetryPolicy().delay(attempt, random, at_least=retry_after)
    assert retry_after <= delay <= max(retry_after, 30.0)


def test_jitter_is_full():
    policy = RetryPolicy(first_delay=1, max_delay=8)
    random = Random(1)
    draws = [policy.delay(4, random) for _ in range(1000)]
    assert min(draws) < 0.1
    assert max(draws) > 7.9
    assert 3.5 < sum(draws) / len(draws) < 4.5


def test_a_call_counts_attempts():
    patience = RetryPolicy(attempts=3).for_a_call(longest_try=100)
    assert not patience.is_over(attempt=2, failing_for=1e9)
    assert patience.is_over(attempt=3, failing_for=0)


def test_a_call_gives_up_rather_than_wait_longer_than_its_tries_and_delays_could_take():
    policy = RetryPolicy(attempts=4, max_delay=10)
    patience = policy.for_a_call(longest_try=100)
    assert not patience.is_over(attempt=1, failing_for=440, total=440)
    assert patience.is_over(attempt=1, failing_for=0, total=441)


def test_a_call_gives_up_after_the_given_time():
    patience = RetryPolicy(give_up_after=60).for_a_call(longest_try=100)
    assert not patience.is_over(attempt=1, failing_for=60)
    assert patience.is_over(attempt=1, failing_for=60.1)


def test_a_stream_never_gives_up_by_default():
    assert not RetryPolicy().for_a_stream().is_over(attempt=10**9, failing_for=1e9)


def test_a_stream_gives_up_after_the_given_time():
    patience = RetryPolicy(give_up_after=timedelta(minutes=1)).for_a_stream()
    assert patience == Patience(seconds=60)
    assert not patience.is_over(attempt=10**9, failing_for=60)
    assert patience.is_over(attempt=1, failing_for=60.1)


@pytest.mark.parametrize(
    "bad",
    [
        {"attempts": 0},
        {"give_up_after": -1},
        {"give_up_after": timedelta()},
        {"first_delay": float("nan")},
        {"max_delay": float("inf")},
        {"max_delay": "30"},
    ],
    ids=str,
)
def test_an_impossible_policy_is_refused(bad):
    (name,) = bad
    with pytest.raises(InvalidArgumentError, match=f"^{name}: "):
        RetryPolicy(**bad)

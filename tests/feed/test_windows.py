"""Windows touch, never overlap, cover all, and are as wide as what lies in them asks for."""

from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise

from hypothesis import given
from hypothesis import strategies as st

from coachstream.feed.windows import GROWTH, NARROWEST, PAGES, Windows

START = datetime(2025, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
MOST = 10_000


def cut(plan, pages_in):
    """All windows, when those in order have so many pages."""
    taken = []
    while bounds := plan.take():
        taken.append(bounds)
        assert len(taken) < MOST
        span = bounds[1] - bounds[0]
        plan.learn(span, pages_in(*bounds))
    return taken


def per_day(pages):
    return lambda start, end: pages * ((end - start) / timedelta(days=1))


@given(
    span=st.integers(min_value=1, max_value=3 * 365 * 86_400_000),
    readers=st.integers(min_value=1, max_value=20),
    a_day=st.lists(st.floats(min_value=0, max_value=9), min_size=1, max_size=30),
)
def test_windows_touch_and_cover_all_whatever_is_found(span, readers, a_day):
    end = START + timedelta(milliseconds=span)
    rates = cycle(a_day)

    def pages(start, end):
        return per_day(next(rates))(start, end)

    taken = cut(Windows(START, end, readers=readers), pages)
    assert taken[0][0] == START
    assert taken[-1][1] == end
    assert all(start < end for start, end in taken)
    assert all(one[1] == next_one[0] for one, next_one in pairwise(taken))
    assert all(end - start >= NARROWEST for start, end in taken[:-1])
    assert all(end.microsecond % 1000 == 0 for _, end in taken), "as the API can be asked for"


def test_windows_of_an_even_feed_come_to_have_a_few_pages():
    taken = cut(Windows(START, START + YEAR, readers=5), per_day(10))
    middle = [10 * (end - start) / timedelta(days=1) for start, end in taken][10:-80]
    assert len(middle) > 500
    assert all(PAGES - 0.1 <= pages <= PAGES + 0.1 for pages in middle)


def test_the_last_windows_are_narrow():
    taken = cut(Windows(START, START + YEAR, readers=5), per_day(10))
    last = [10 * (end - start) / timedelta(days=1) for start, end in taken][-8:]
    assert all(pages <= 1.6 for pages in last)


def test_a_quiet_year_takes_few_windows():
    assert len(cut(Windows(START, START + YEAR, readers=5), lambda *_: 0.0)) <= 20
    sparse = cut(Windows(START, START + YEAR, readers=5), per_day(20 / 365))
    assert len(sparse) <= 40


def test_a_window_is_no_more_than_so_much_wider_than_the_last():
    plan = Windows(START, START + YEAR, readers=5)
    first = plan.take()
    assert first is not None
    plan.learn(first[1] - first[0], 0.001)
    second = plan.take()
    assert second is not None
    assert second[1] - second[0] <= GROWTH * (first[1] - first[0]) + timedelta(seconds=1)


def test_nothing_lies_between_two_equal_times():
    assert Windows(START, START, readers=5).take() is None
    assert Windows(START, START - YEAR, readers=5).take() is None

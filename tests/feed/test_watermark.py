"""Where it is safe to begin again: after no time that was wrong, and before any that is to come."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from coachstream import Position
from coachstream.feed.watermark import LAST, MOST_DISORDER, Watermark

BIRTH = datetime(2026, 1, 1, tzinfo=UTC)
START = Position(query="q", origin="q")


def at(minute):
    return BIRTH + timedelta(minutes=minute)


def minutes(*numbers):
    return [at(number) for number in numbers]


def test_nothing_read_is_no_watermark():
    mark = Watermark(START)
    mark.advance([], at(1))
    assert (mark.time, mark.safe) == (None, None)


def test_a_time_in_the_future_is_not_counted():
    mark = Watermark(START)
    mark.advance(minutes(1, 900, 2), at(3))
    assert (mark.time, mark.safe, mark.disorder) == (at(2), at(1), timedelta())
    mark.advance(minutes(901), None)
    assert mark.time == at(901), "where nothing tells the time, it can't be known"


def test_how_far_times_went_back_is_not_forgotten():
    mark = Watermark(START)
    mark.advance(minutes(60, 5), at(2000))
    mark.advance(minutes(*range(100, 200)), at(2000))
    assert mark.disorder == timedelta(minutes=55)
    assert mark.safe == at(199 - (LAST - 1) - 55)
    mark.restart()
    mark.advance(minutes(150), at(2000))
    assert mark.disorder == timedelta(minutes=55), "a new query may well begin earlier"


def test_one_odd_record_does_not_turn_the_feed_back_by_years():
    mark = Watermark(START)
    mark.advance([at(0), at(0) - timedelta(days=20_000)], at(1))
    assert mark.disorder == MOST_DISORDER


def test_a_stored_watermark_in_the_future_is_cut():
    recent = tuple((str(minute), at(minute)) for minute in (1, 900, 3))
    poisoned = Position(query="q", origin="q", cursor="c", cursor_time=at(5), watermark=at(900))
    assert Watermark(poisoned).time == at(5)
    assert Watermark(msgspec.structs.replace(poisoned, recent=recent)).time == at(3)
    assert Watermark(msgspec.structs.replace(poisoned, settled=recent)).time == at(3)


def test_what_was_stored_is_gone_on_from():
    place = Position(
        query="q", origin="q", watermark=at(9), disorder=timedelta(minutes=4), recent=()
    )
    mark = Watermark(place)
    assert (mark.time, mark.safe) == (at(9), at(5))


@given(st.lists(st.lists(st.integers(0, 500), max_size=5)))
def test_whatever_comes_it_is_as_far_back_as_times_went(pages):
    mark, read = Watermark(START), []
    for page in pages:
        mark.advance(minutes(*page), None)
        read += page
        if not read:
            continue
        back = max(max(read[: place + 1]) - time for place, time in enumerate(read))
        assert mark.disorder == timedelta(minutes=back)
        assert mark.time == at(max(read))
        assert mark.safe == at(min(read[-LAST:]) - back) or len(page) == 0

"""The walk from cursor to cursor: nothing twice, nothing skipped, no circle, no storm."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream import CursorLoopError, MalformedSessionError, Page
from coachstream.feed.paging import Pager
from coachstream.models import CoachingSession, Driver

BIRTH = datetime(2026, 1, 1, tzinfo=UTC)
POLL = 5.0


def session(number):
    return CoachingSession(
        id=f"s{number}",
        updated_at_time=BIRTH + timedelta(seconds=number),
        driver=Driver(driver_id="1"),
        session_status="upcoming",
        coaching_type="unknown",
    )


def page(*numbers, cursor, more):
    return Page(entries=tuple(map(session, numbers)), end_cursor=cursor, has_next_page=more, size=1)


def walk(*, cursor=None, bounded=False):
    return Pager(cursor=cursor, bounded=bounded, poll_interval=POLL)


def numbers(step):
    return [int(entry.id[1:]) for entry in step.entries]


def test_more_to_read_is_asked_for_at_once():
    step = walk().step(page(1, 2, cursor="a", more=True))
    assert (numbers(step), step.cursor, step.moved) == ([1, 2], "a", True)
    assert (step.pause, step.ended) == (0, False)


@pytest.mark.parametrize("cursor", ["a", "b", ""])
@pytest.mark.parametrize("entries", [(), (1,)])
def test_nothing_more_is_asked_for_after_the_poll_interval(cursor, entries):
    step = walk(cursor="a").step(page(*entries, cursor=cursor, more=False))
    assert step.pause == POLL
    assert not step.ended
    assert numbers(step) == list(entries)


def test_an_empty_cursor_never_replaces_a_good_one_and_repeats_are_dropped():
    way = walk()
    way.step(page(1, cursor="a", more=True))
    assert numbers(way.step(page(2, cursor="", more=False))) == [2]
    assert way.cursor == "a"
    assert numbers(way.step(page(2, 3, cursor="", more=False))) == [3]
    last = way.step(page(2, 3, 4, cursor="b", more=True))
    assert (numbers(last), last.cursor, last.moved) == ([4], "b", True)
    # Beyond the new cursor, what came before may come again: it is a new version's business.
    assert numbers(way.step(page(2, cursor="c", more=True))) == [2]


def test_an_empty_page_is_not_the_end():
    way = walk(bounded=True)
    step = way.step(page(cursor="a", more=True))
    assert (step.pause, step.ended, step.moved) == (0, False, True)


def test_a_bounded_query_ends_when_there_is_no_more():
    for cursor in ("", "a", "z"):
        step = walk(cursor="a", bounded=True).step(page(1, cursor=cursor, more=False))
        assert step.ended
        assert step.pause == 0


def test_empty_pages_in_a_row_back_off_to_the_poll_interval():
    way = walk()
    pauses = [way.step(page(cursor=f"c{n}", more=True)).pause for n in range(10)]
    assert pauses == [0, 0, *(POLL / 16 * 2**n for n in range(4)), POLL, POLL, POLL, POLL]


def test_a_feed_that_always_says_more_is_known_after_one_back_off():
    way = walk()
    for n in range(7):
        way.step(page(cursor=f"c{n}", more=True))
    assert way.step(page(1, cursor="d", more=True)).pause == 0
    assert way.step(page(cursor="e", more=True)).pause == POLL


def test_sessions_reset_the_back_off():
    way = walk()
    for n in range(4):
        way.step(page(cursor=f"c{n}", more=True))
    way.step(page(1, cursor="d", more=True))
    assert way.step(page(cursor="e", more=True)).pause == 0


def test_the_same_page_again_is_a_loop():
    way = walk(cursor="a")
    assert way.step(page(1, cursor="a", more=True)).pause == POLL
    with pytest.raises(CursorLoopError, match="'a'"):
        way.step(page(1, cursor="a", more=True))
    assert way.cursor == "a"


def test_the_same_cursor_with_a_new_session_is_no_loop():
    way = walk(cursor="a")
    way.step(page(1, cursor="a", more=True))
    assert numbers(way.step(page(1, 2, cursor="a", more=True))) == [2]


@pytest.mark.parametrize("length", [2, 3, 64])
def test_a_longer_circle_is_a_loop(length):
    way = walk()
    for n in range(length):
        way.step(page(n, cursor=f"c{n}", more=True))
    with pytest.raises(CursorLoopError, match="came before"):
        way.step(page(0, cursor="c0", more=True))


def test_a_cursor_with_other_sessions_is_no_loop():
    way = walk()
    way.step(page(1, cursor="a", more=True))
    way.step(page(2, cursor="b", more=True))
    assert numbers(way.step(page(3, cursor="a", more=True))) == [3]


@pytest.mark.parametrize("cursor", ["", "a"])
def test_a_bounded_query_that_leads_nowhere_is_a_loop_at_the_second_time(cursor):
    way = walk(cursor="a", bounded=True)
    assert way.step(page(cursor=cursor, more=True)).pause == POLL
    with pytest.raises(CursorLoopError):
        way.step(page(cursor=cursor, more=True))


def test_a_quiet_feed_may_repeat_its_answer_for_ever():
    for cursor in ("", "a"):
        for more in (False, True):
            way = walk(cursor="a")
            for _ in range(1000):
                assert way.step(page(cursor=cursor, more=more)).pause == POLL


def test_a_repeated_malformed_session_is_dropped_too():
    bad = MalformedSessionError("x", raw=b"{}")
    answer = Page(entries=(bad,), end_cursor="", has_next_page=False, size=1)
    way = walk()
    assert way.step(answer).entries == (bad,)
    assert way.step(answer).entries == ()


@given(st.data())
def test_whatever_a_caught_up_feed_answers_each_version_comes_once(data):
    """A server that holds a growing list, and answers in every way the facts leave open."""
    total, way, got = 0, walk(), []
    for _ in range(data.draw(st.integers(1, 30))):
        total += data.draw(st.integers(0, 3))
        at = int(way.cursor or 0)
        size = data.draw(st.integers(0, 4))
        served = range(at, min(total, at + size))
        caught_up = at + size >= total
        cursor = str(at + len(served)) if served else (way.cursor or "")
        if caught_up and data.draw(st.booleans()):
            cursor = ""
        more = not caught_up or data.draw(st.booleans())
        if more and cursor == way.cursor and not caught_up:
            continue  # an empty page in mid-feed has a cursor of its own
        step = way.step(page(*served, cursor=cursor, more=more))
        got += numbers(step)
        assert got == sorted(set(got))
        assert step.pause == 0 or not served or caught_up
    assert got == list(range(len(got)))


def test_what_was_settled_before_is_dropped_however_often_it_is_served():
    way = Pager(cursor=None, bounded=False, poll_interval=POLL, known=[session(1).key])
    for _ in range(3):
        assert way.step(page(1, cursor="", more=False)).entries == ()
    assert numbers(way.step(page(1, 2, cursor="a", more=True))) == [2]

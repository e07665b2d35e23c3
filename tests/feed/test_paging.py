"""From cursor to cursor: nothing twice, nothing skipped, no loop, no flood of requests."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream import CursorLoopError, MalformedSessionError, Page
from coachstream.feed.paging import Pager
from coachstream.feed.versions import StoredVersion
from coachstream.models import CoachingSession, Driver
from coachstream.wire.pages import Entry

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


def new_pager(*, cursor=None, bounded=False):
    return Pager(cursor=cursor, bounded=bounded, poll_interval=POLL)


class Taken(NamedTuple):
    """What a pager makes of a page."""

    entries: tuple[Entry, ...]
    cursor: str | None
    moved: bool
    pause: float
    ended: bool


def take(pager, page):
    entries = pager.take(page)
    return Taken(entries, pager.cursor, pager.moved, pager.pause, pager.ended)


def numbers(taken):
    return [int(entry.id[1:]) for entry in taken.entries]


def test_more_to_read_is_asked_for_at_once():
    taken = take(new_pager(), page(1, 2, cursor="a", more=True))
    assert (numbers(taken), taken.cursor, taken.moved) == ([1, 2], "a", True)
    assert (taken.pause, taken.ended) == (0, False)


@pytest.mark.parametrize("cursor", ["a", "b", ""])
@pytest.mark.parametrize("entries", [(), (1,)])
def test_nothing_more_is_asked_for_after_the_poll_interval(cursor, entries):
    taken = take(new_pager(cursor="a"), page(*entries, cursor=cursor, more=False))
    assert taken.pause == POLL
    assert not taken.ended
    assert numbers(taken) == list(entries)


def test_an_empty_cursor_never_replaces_a_good_one_and_repeats_are_dropped():
    pager = new_pager()
    take(pager, page(1, cursor="a", more=True))
    assert numbers(take(pager, page(2, cursor="", more=False))) == [2]
    assert pager.cursor == "a"
    assert numbers(take(pager, page(2, 3, cursor="", more=False))) == [3]
    last = take(pager, page(2, 3, 4, cursor="b", more=True))
    assert (numbers(last), last.cursor, last.moved) == ([4], "b", True)
    # Nor is it repeated when the cursor moves.
    assert numbers(take(pager, page(2, 4, 5, cursor="c", more=True))) == [5]


def test_an_empty_page_is_not_the_end():
    pager = new_pager(bounded=True)
    taken = take(pager, page(cursor="a", more=True))
    assert (taken.pause, taken.ended, taken.moved) == (0, False, True)


def test_a_bounded_query_ends_when_there_is_no_more():
    for cursor in ("", "a", "z"):
        taken = take(new_pager(cursor="a", bounded=True), page(1, cursor=cursor, more=False))
        assert taken.ended
        assert taken.pause == 0


def test_empty_pages_in_a_row_back_off_to_the_poll_interval():
    pager = new_pager()
    pauses = [take(pager, page(cursor=f"c{n}", more=True)).pause for n in range(10)]
    assert pauses == [0, 0, *(POLL / 16 * 2**n for n in range(4)), POLL, POLL, POLL, POLL]


@pytest.mark.parametrize("empty", [4, 7, 20])
def test_sessions_reset_the_back_off(empty):
    pager = new_pager()
    for n in range(empty):
        take(pager, page(cursor=f"c{n}", more=True))
    for n in range(3):
        assert take(pager, page(n, cursor=f"d{n}", more=True)).pause == 0
        assert take(pager, page(cursor=f"e{n}", more=True)).pause == 0


def test_a_bounded_query_goes_on_at_once_while_the_cursor_moves():
    pager = new_pager(bounded=True)
    for n in range(50):
        assert take(pager, page(cursor=f"c{n}", more=True)).pause == 0


def test_the_same_page_again_is_a_loop():
    pager = new_pager(cursor="a")
    assert take(pager, page(1, cursor="a", more=True)).pause == POLL
    with pytest.raises(CursorLoopError, match="'a'"):
        take(pager, page(1, cursor="a", more=True))
    assert pager.cursor == "a"


def test_the_same_cursor_with_a_new_session_is_no_loop():
    pager = new_pager(cursor="a")
    take(pager, page(1, cursor="a", more=True))
    assert numbers(take(pager, page(1, 2, cursor="a", more=True))) == [2]


@pytest.mark.parametrize("length", [2, 3, 64])
def test_a_longer_circle_is_a_loop(length):
    pager = new_pager()
    for n in range(length):
        take(pager, page(n, cursor=f"c{n}", more=True))
    with pytest.raises(CursorLoopError, match="the server repeats cursor"):
        take(pager, page(0, cursor="c0", more=True))


def test_a_cursor_with_other_sessions_is_no_loop():
    pager = new_pager()
    take(pager, page(1, cursor="a", more=True))
    take(pager, page(2, cursor="b", more=True))
    assert numbers(take(pager, page(3, cursor="a", more=True))) == [3]


@pytest.mark.parametrize("cursor", ["", "a"])
def test_a_bounded_query_that_leads_nowhere_is_a_loop_at_the_second_time(cursor):
    pager = new_pager(cursor="a", bounded=True)
    assert take(pager, page(cursor=cursor, more=True)).pause == POLL
    with pytest.raises(CursorLoopError):
        take(pager, page(cursor=cursor, more=True))


def test_a_quiet_feed_may_repeat_its_answer_for_ever():
    for cursor in ("", "a"):
        for more in (False, True):
            pager = new_pager(cursor="a")
            for _ in range(1000):
                assert take(pager, page(cursor=cursor, more=more)).pause == POLL


def test_a_repeated_malformed_session_is_dropped_too():
    bad = MalformedSessionError("x", raw=b"{}")
    answer = Page(entries=(bad,), end_cursor="", has_next_page=False, size=1)
    pager = new_pager()
    assert take(pager, answer).entries == (bad,)
    assert take(pager, answer).entries == ()


@given(st.data())
def test_whatever_a_caught_up_feed_answers_each_version_comes_once(data):
    """A server that holds a growing list, and answers in every way the facts leave open."""
    total, pager, got = 0, new_pager(), []
    for _ in range(data.draw(st.integers(1, 30))):
        total += data.draw(st.integers(0, 3))
        at = int(pager.cursor or 0)
        size = data.draw(st.integers(0, 4))
        served = range(at, min(total, at + size))
        caught_up = at + size >= total
        cursor = str(at + len(served)) if served else (pager.cursor or "")
        if caught_up and data.draw(st.booleans()):
            cursor = ""
        more = not caught_up or data.draw(st.booleans())
        if more and cursor == pager.cursor and not caught_up:
            continue  # an empty page in mid-feed has a cursor of its own
        taken = take(pager, page(*served, cursor=cursor, more=more))
        got += numbers(taken)
        assert got == sorted(set(got))
        assert taken.pause == 0 or not taken.entries or caught_up
    assert got == list(range(len(got)))


def test_what_was_settled_before_is_dropped_however_often_it_is_served():
    settled = StoredVersion("s1", session(1).updated_at_time, digest="")
    pager = Pager(cursor=None, bounded=False, poll_interval=POLL, known=[settled])
    for _ in range(3):
        assert take(pager, page(1, cursor="", more=False)).entries == ()
    assert numbers(take(pager, page(1, 2, cursor="a", more=True))) == [2]

"""The commit is exactly the finished prefix, and the keys settled beyond it."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream import MalformedSessionError, Position
from coachstream.feed.reading import Reading
from coachstream.feed.recent import RECENT, Batch
from coachstream.feed.watermark import credible
from coachstream.models import CoachingSession, Driver
from coachstream.progress.frontier import Frontier

BIRTH = datetime(2026, 1, 1, tzinfo=UTC)
QUERY = "startTime=2026-01-01T00%3A00%3A00Z"
START = Position(query=QUERY, origin=QUERY, cursor="start", cursor_time=BIRTH)


def at(number):
    return BIRTH + timedelta(minutes=number)


def session(number):
    return CoachingSession(
        id=f"s{number}",
        updated_at_time=at(number),
        driver=Driver(driver_id="1"),
        session_status="upcoming",
        coaching_type="unknown",
    )


def reading(*numbers, cursor, moved=True, entries=None, **more):
    entries = tuple(map(session, numbers)) if entries is None else entries
    batch = Batch(entries)
    newest = max(credible(batch.times, more.get("served_at")), default=None)
    return Reading(
        entries=entries,
        batch=batch,
        newest=newest,
        cursor=cursor,
        cursor_time=at(999),
        moved=moved,
        size=10 if numbers else 0,
        **more,
    )


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=8), st.data())
def test_the_position_is_exactly_the_finished_prefix_and_what_is_settled_beyond(shape, data):
    frontier, pages, number = Frontier(START), [], 0
    for index, (size, moved) in enumerate(shape):
        pages.append((list(range(number, number + size)), f"c{index}" if moved else None))
        number += size
    opened = [frontier.open(reading(*e, cursor=c, moved=c is not None)) for e, c in pages]
    todo = data.draw(
        st.permutations([(p, i) for p, (e, _) in enumerate(pages) for i in range(len(e))])
    )
    settled = set()
    for step in [None, *todo]:
        if step is not None:
            page, index = step
            frontier.settle(opened[page], index)
            settled.add(pages[page][0][index])
        # The truth, worked out the slow way.
        cursor, beyond, passed = "start", [], 0
        for entries, own in pages:
            if not set(entries) <= settled:
                break
            passed += 1
            if own is not None:
                cursor, beyond = own, [] if entries else beyond
            else:
                beyond += entries
        ahead = [n for entries, _ in pages[passed:] for n in entries if n in settled]
        position = frontier.position
        assert position.cursor == cursor
        assert position.settled == tuple(session(n).key for n in [*beyond, *ahead])
        waiting = [n for entries, _ in pages for n in entries if n not in settled]
        highest = max(settled, default=None)
        expected = None if highest is None else at(min([highest, *waiting]))
        assert position.watermark == expected
        assert frontier.unsettled == len(waiting)
        assert frontier.open_sessions == sum(len(e) for e, _ in pages[passed:])
        assert frontier.size == 10 * sum(bool(entries) for entries, _ in pages[passed:])


def test_it_goes_on_from_what_was_saved():
    saved = Position(
        query="q",
        origin="o",
        cursor="c",
        cursor_time=BIRTH,
        settled=(session(1).key,),
        recent=(session(0).key,),
        watermark=at(1),
        dead_cursor="d",
    )
    assert Frontier(saved).position == saved


def test_recent_keys_are_kept_but_not_for_ever():
    frontier = Frontier(START)
    for number in range(3 * RECENT):
        page = frontier.open(reading(number, cursor=f"c{number}", dead_cursor=None))
        frontier.settle(page, 0)
    assert frontier.position.recent == tuple(session(n).key for n in range(2 * RECENT, 3 * RECENT))


def test_when_reading_began_again_the_old_cursor_means_nothing():
    frontier = Frontier(START)
    page = frontier.open(reading(1, cursor="old"))
    later = "startTime=2026-01-01T00%3A01%3A00Z"
    again = frontier.open(reading(2, cursor=None, moved=False, query=later, dead_cursor="old"))
    assert frontier.position.dead_cursor == "old", "told at once"
    frontier.settle(again, 0)
    assert frontier.position.query == QUERY, "the page before is not finished"
    frontier.settle(page, 0)
    position = frontier.position
    assert (position.query, position.origin, position.cursor) == (later, QUERY, None)
    assert position.settled == (session(2).key,)


def test_what_lies_before_another_querys_start_is_no_longer_settled_beyond_it():
    settled = (session(1).key, session(3).key)
    frontier = Frontier(msgspec.structs.replace(START, settled=settled))
    later = "startTime=2026-01-01T00%3A02%3A00Z"
    page = frontier.open(reading(4, cursor=None, moved=False, query=later))
    frontier.settle(page, 0)
    assert frontier.position.settled == (session(3).key, session(4).key)
    assert frontier.position.recent == (session(1).key, session(4).key)


def test_malformed_sessions_count_by_what_of_them_can_be_read():
    named = MalformedSessionError("x", raw=b"{}", session_id="m", updated_at_time=at(5))
    frontier = Frontier(START)
    page = frontier.open(reading(entries=(named, MalformedSessionError("x", raw=b"")), cursor="c"))
    frontier.settle(page, 0)
    assert frontier.position.settled == (("m", at(5)),)
    assert frontier.position.watermark == at(5)
    frontier.settle(page, 1)
    assert frontier.position.cursor == "c"


def test_settling_twice_is_a_mistake():
    frontier = Frontier(START)
    page = frontier.open(reading(1, 2, cursor="c"))
    frontier.settle(page, 0)
    with pytest.raises(AssertionError):
        frontier.settle(page, 0)


def test_what_a_cursor_has_passed_stays_known_for_the_day_it_dies():
    """An earlier run settled the second of a page's sessions; this one sees only the others."""
    saved = Position(query="q", origin="q", cursor="c", settled=(session(1).key,))
    frontier = Frontier(saved)
    page = frontier.open(reading(0, 2, cursor="d"))
    frontier.settle(page, 0)
    frontier.settle(page, 1)
    assert frontier.position.settled == ()
    assert set(frontier.position.recent) == {session(number).key for number in range(3)}


def changed(number, moment):
    """A session at another time than its number's."""
    return msgspec.structs.replace(session(number), updated_at_time=at(moment))


def test_what_is_settled_with_equal_times_stays_settled_until_its_own_page_is_passed():
    """A bulk change: the page that is passed has the time of those on later pages."""
    ones = [changed(number, 1) for number in range(6)]
    saved = Position(query="q", origin="q", cursor="c", settled=tuple(one.key for one in ones[2:]))
    frontier = Frontier(saved)
    page = frontier.open(reading(cursor="d", entries=tuple(ones[:2]), repeated=tuple(ones[2:4])))
    frontier.settle(page, 0)
    frontier.settle(page, 1)
    assert frontier.position.settled == tuple(one.key for one in ones[4:])
    frontier.open(reading(cursor="e", entries=(), repeated=tuple(ones[4:])))
    assert frontier.position.settled == ()


def test_what_has_become_another_version_does_not_stay_settled_for_ever():
    saved = Position(query="q", origin="q", cursor="c", settled=(changed(1, 1).key,))
    frontier = Frontier(saved)
    for moment, settled in ((1, saved.settled), (2, ())):
        page = frontier.open(reading(cursor=f"d{moment}", entries=(changed(9, moment),)))
        frontier.settle(page, 0)
        assert frontier.position.settled == settled


def test_on_a_server_out_of_order_it_stays_settled_for_as_long_as_times_go_back():
    saved = Position(
        query="q", origin="q", cursor="c", settled=(session(1).key,), disorder=timedelta(minutes=5)
    )
    frontier = Frontier(saved)
    for moment, settled in ((6, saved.settled), (7, ())):
        page = frontier.open(reading(moment, cursor=f"d{moment}"))
        frontier.settle(page, 0)
        assert frontier.position.settled == settled
    assert frontier.position.disorder == timedelta(minutes=5)


def test_the_watermark_never_goes_back():
    frontier = Frontier(START)
    for number in (5, 3):
        page = frontier.open(reading(number, cursor=f"c{number}"))
        frontier.settle(page, 0)
        assert frontier.position.watermark == at(5)


def test_a_time_in_the_future_is_no_watermark():
    frontier = Frontier(START)
    page = frontier.open(reading(1, 900, cursor="d", served_at=at(2)))
    frontier.settle(page, 1)
    assert frontier.position.watermark is None
    frontier.settle(page, 0)
    assert frontier.position.watermark == at(1)


def test_a_cursor_that_is_issued_again_is_dead_no_more():
    frontier = Frontier(msgspec.structs.replace(START, dead_cursor="d"))
    frontier.open(reading(1, cursor="c"))
    assert frontier.position.dead_cursor == "d"
    frontier.open(reading(2, cursor="d"))
    assert frontier.position.dead_cursor is None


def test_positions_say_what_content_was_settled_and_earlier_ones_do_not():
    frontier = Frontier(START)
    page = frontier.open(reading(1, 2, cursor="d"))
    frontier.settle(page, 1)
    position = frontier.position
    assert position.digests == (session(2).content_digest,)
    assert Frontier(position).position == position
    earlier = msgspec.structs.replace(position, digests=())
    assert Frontier(earlier).position == earlier


def test_empty_pages_behind_an_unsettled_one_do_not_pile_up():
    frontier = Frontier(START)
    page = frontier.open(reading(1, cursor="c"))
    for number in range(1000):
        frontier.open(reading(cursor=f"e{number}"))
    assert len(frontier._pages) == 2
    frontier.settle(page, 0)
    assert frontier.position.cursor == "e999"

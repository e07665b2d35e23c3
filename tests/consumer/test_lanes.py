"""One at a time of each key, in order; keys beside each other; idle keys cost nothing."""

import sys
from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st

from coachstream.consumer.lanes import Lanes


@given(st.data())
def test_each_key_is_served_in_order_one_at_a_time(data):
    lanes: Lanes[int] = Lanes()
    added: dict[Hashable, list[int]] = {}
    finished: dict[Hashable, list[int]] = {}
    running: list[tuple[Hashable, int]] = []
    for number in range(data.draw(st.integers(0, 40))):
        act = data.draw(st.sampled_from(["add", "add", "start", "done", "again"]))
        if act == "add":
            key = data.draw(st.sampled_from("abc"))
            lanes.add(key, number)
            added.setdefault(key, []).append(number)
        elif act == "start":
            started = lanes.start()
            free = set(added) - {key for key, _ in running}
            free = {key for key in free if len(added[key]) > len(finished.get(key, []))}
            assert (started is None) == (not free)
            if started is not None:
                key, item = started
                assert key in free
                assert item == added[key][len(finished.get(key, []))]
                running.append((key, item))
        elif running:
            key, item = running.pop(data.draw(st.integers(0, len(running) - 1)))
            if act == "done":
                lanes.done(key)
                finished.setdefault(key, []).append(item)
            else:
                lanes.again(key, item)
    for key, item in running:
        lanes.done(key)
        finished.setdefault(key, []).append(item)
    while (started := lanes.start()) is not None:
        key, item = started
        lanes.done(key)
        finished.setdefault(key, []).append(item)
    assert finished == added
    assert len(lanes) == lanes.ready == 0


def test_a_million_keys_leave_nothing_behind():
    lanes: Lanes[int] = Lanes()
    empty = sys.getsizeof(lanes._waiting)
    for number in range(1_000_000):
        lanes.add(f"driver {number}", number)
        assert lanes.start() == (f"driver {number}", number)
        lanes.done(f"driver {number}")
    assert len(lanes) == 0
    assert sys.getsizeof(lanes._waiting) <= empty + 1000

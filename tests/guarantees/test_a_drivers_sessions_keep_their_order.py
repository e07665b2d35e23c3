"""Promise 2: one session of a driver at a time, and in the order of the feed."""

from hypothesis import given

from tests.guarantees.histories import History, histories, live, thoroughly


@given(histories())
@thoroughly
def test_a_driver_is_never_reordered_or_handled_twice_at_once(history: History) -> None:
    witness = live(history)
    assert witness.together == []
    assert witness.disordered == []

"""Promises 1, 2 and 5 in random histories; each is run once and checked for all of them."""

import pytest
from hypothesis import given

from tests.guarantees.histories import History, histories, many_examples, run_history


@pytest.mark.timeout(900)  # COACHSTREAM_HISTORIES may be large
@given(histories())
@many_examples
def test_nothing_is_lost_no_driver_is_reordered_and_nothing_is_left_running(
    history: History,
) -> None:
    recorder = run_history(history)
    # Every version reaches the handler, and no checkpoint claims more than that.
    assert recorder.missing == set()
    assert recorder.false_claims == set()
    assert recorder.wrong_revisions == []
    assert recorder.redelivered == set()
    # Each driver's sessions are handled one at a time, in the order of the feed.
    assert recorder.concurrent == []
    # Windows are read in the order of times, which may not be the feed's.
    if history.readers == 1 or history.times in {"unique", "seconds"}:
        assert recorder.out_of_order == []
    # No run leaves anything behind.
    assert recorder.left_running == []
    assert recorder.handled_late == []

"""Promise 2: each driver's sessions are handled one at a time, in the order of the feed."""

import pytest
from hypothesis import given

from tests.guarantees.histories import History, histories, many_examples, run_history

pytestmark = pytest.mark.timeout(900)  # COACHSTREAM_HISTORIES may be large


@given(histories())
@many_examples
def test_a_driver_is_never_reordered_or_handled_twice_at_once(history: History) -> None:
    recorder = run_history(history)
    assert recorder.concurrent == []
    # Windows are read in the order of times, which may not be the feed's.
    if history.readers == 1 or history.times in {"unique", "seconds"}:
        assert recorder.out_of_order == []

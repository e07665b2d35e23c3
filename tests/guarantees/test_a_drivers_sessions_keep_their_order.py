"""Promise 2: one session of a driver at a time, and in the order of the feed."""

import pytest
from hypothesis import given

from tests.guarantees.histories import History, histories, live, thoroughly

pytestmark = pytest.mark.timeout(900)  # for as many histories as are asked for


@given(histories())
@thoroughly
def test_a_driver_is_never_reordered_or_handled_twice_at_once(history: History) -> None:
    witness = live(history)
    assert witness.together == []
    assert witness.disordered == []

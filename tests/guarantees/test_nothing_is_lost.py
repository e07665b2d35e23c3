"""Promise 1: every version the API serves reaches the handler, whatever crashes, and whenever."""

import pytest
from hypothesis import given

from tests.guarantees.histories import History, histories, live, thoroughly

pytestmark = pytest.mark.timeout(900)  # for as many histories as are asked for


@given(histories())
@thoroughly
def test_every_version_is_handled_and_no_checkpoint_says_so_before(history: History) -> None:
    witness = live(history)
    assert witness.missing == set()
    assert witness.lies == set()
    assert witness.backward == []
    # And what a checkpoint calls settled does not come again.
    assert witness.again == set()

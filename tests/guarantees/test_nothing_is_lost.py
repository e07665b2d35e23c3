"""Promise 1: every version that the API serves reaches the handler, despite any crash."""

import pytest
from hypothesis import given

from tests.guarantees.histories import History, histories, many_examples, run_history

pytestmark = pytest.mark.timeout(900)  # COACHSTREAM_HISTORIES may be large


@given(histories())
@many_examples
def test_every_version_is_handled_before_a_checkpoint_claims_it_is_settled(
    history: History,
) -> None:
    recorder = run_history(history)
    assert recorder.missing == set()
    assert recorder.false_claims == set()
    assert recorder.wrong_revisions == []
    assert recorder.redelivered == set()

"""The list of deliberate breaks does not rot; trying them is a command of its own."""

from pathlib import Path

import pytest

import coachstream
from tests.mutations import MUTATIONS, ROOT, source

INSTALLED = Path(coachstream.__file__).parents[1]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.promise)
def test_what_is_to_be_broken_stands_there_once(mutation):
    assert source(mutation, INSTALLED).read_text().count(mutation.old) == 1
    assert mutation.old != mutation.new
    assert all((ROOT / test).is_file() for test in mutation.tests)

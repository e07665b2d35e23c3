"""The list of mutations is up to date; ``python -m tests.mutations`` runs them."""

from pathlib import Path

import pytest

import coachstream
from tests.mutations import MUTATIONS, ROOT, main, source

INSTALLED = Path(coachstream.__file__).parents[1]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.promise)
def test_the_line_to_change_exists_once(mutation):
    path = source(mutation, INSTALLED)
    if not path.exists():  # a wheel has the pytest plugin beside the package
        path = INSTALLED / path.name
    assert path.read_text().count(mutation.old) == 1
    assert mutation.old != mutation.new
    assert mutation.tests
    for file in mutation.tests:
        assert f"def {mutation.test}" in (ROOT / file).read_text()


def test_a_word_that_no_promise_contains_is_an_error(capsys):
    assert main(["no such promise"]) == 2
    assert MUTATIONS[0].promise in capsys.readouterr().err

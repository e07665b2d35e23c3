"""Short soak tests; ``python -m tests.soak`` runs the long ones."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from tests.soak.figures import Figure
from tests.soak.load import soak
from tests.soak.weeks import weeks


@pytest.fixture(autouse=True)
def _do_not_log_failing_handlers() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_some_seconds_under_load_leak_nothing(tmp_path):
    result = asyncio.run(soak(seconds=5.0, every=0.25, directory=tmp_path))
    assert result.handled > 500
    assert result.figures["tasks"].flat, str(result)
    assert result.figures["descriptors"].flat, str(result)


def test_a_day_of_polls_leaks_nothing():
    result = weeks(1 / 7)
    assert result.handled > 300
    assert result.faults > 20
    assert result.flat, str(result)


def test_a_figure_that_grows_is_not_flat():
    leak, flat = Figure("leak", 2.0), Figure("flat", 2.0)
    for minute in range(60):
        leak.samples.append((60.0 * minute, 40.0 + 0.1 * minute))
        flat.samples.append((60.0 * minute, 40.0 + minute % 3))
    assert not leak.flat
    assert leak.slope == pytest.approx(6.0)
    assert flat.flat

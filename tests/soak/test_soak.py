"""A soak in small; ``python -m tests.soak`` is the long one."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from tests.soak.figures import Figure
from tests.soak.load import soak
from tests.soak.weeks import weeks


@pytest.fixture(autouse=True)
def _handlers_fail_in_silence() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_some_seconds_at_load_leave_nothing_behind(tmp_path):
    soaked = asyncio.run(soak(seconds=5.0, every=0.25, place=tmp_path))
    assert soaked.handled > 500
    assert soaked.figures["tasks"].flat, str(soaked)
    assert soaked.figures["descriptors"].flat, str(soaked)


def test_a_day_of_polls_leaves_nothing_behind():
    soaked = weeks(1 / 7)
    assert soaked.handled > 300
    assert soaked.faults > 20
    assert soaked.flat, str(soaked)


def test_a_figure_that_grows_is_not_flat():
    leak, flat = Figure("leak", 2.0), Figure("flat", 2.0)
    for minute in range(60):
        leak.samples.append((60.0 * minute, 40.0 + 0.1 * minute))
        flat.samples.append((60.0 * minute, 40.0 + minute % 3))
    assert not leak.flat
    assert leak.slope == pytest.approx(6.0)
    assert flat.flat

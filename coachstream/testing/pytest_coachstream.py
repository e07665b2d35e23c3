"""The pytest plugin: the fixture ``samsara``, an emulator on a free port.

Installing coachstream registers it. It is installed beside the package, as ``pytest_coachstream``:
every run of pytest imports it, and coachstream takes longer to import than pytest itself. For the
same reason, what is not needed to register is imported when used.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from coachstream.testing import Emulator, EmulatorThread

MARKER = (
    "samsara(**arguments): what the fixture samsara is made with, "
    "by the names that quiet_world and Emulator of coachstream.testing know"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def samsara(request: pytest.FixtureRequest) -> Iterator[EmulatorThread]:
    """Samsara's coaching API, emulated on a free port: point what you test at ``samsara.url``.

    Any token will do. There are 50 sessions of the last 90 days, in pages of 20, and nothing
    changes unless the test changes it (``samsara.world.add_session()``, ``.complete()``, …), or
    has something go wrong (``samsara.faults.append(hang_up())``). ``samsara.requests`` tells what
    was asked. Each test has its own; other arguments come by a marker::

        @pytest.mark.samsara(sessions=500, page_size=(1, 100), faults=[refuse(429)])

    It is a plain fixture, and the emulator has a thread of its own, so that it serves every kind
    of test: async ones under any plugin and mode, ordinary ones, and other processes. Time is real
    in it; for time that flies, start an ``Emulator`` in a test that is ``fast_forward``.
    """
    from coachstream.testing import EmulatorThread  # noqa: PLC0415  # see above

    with EmulatorThread(_emulator(request)) as running:
        yield running


def _emulator(request: pytest.FixtureRequest) -> Emulator:
    from coachstream import SystemClock  # noqa: PLC0415  # see above
    from coachstream.testing import Emulator, quiet_world  # noqa: PLC0415  # see above

    arguments: dict[str, object] = {"page_size": 20, "now": SystemClock().now()}
    for marker in reversed(list(request.node.iter_markers("samsara"))):  # the closest comes last
        if marker.args or "world" in marker.kwargs:
            # It would be one world for all tests of the marker, each finding the last one's deeds.
            raise pytest.UsageError(
                "the marker samsara takes the world's own arguments, by name: (sessions=500)"
            )
        arguments |= marker.kwargs
    of_the_world = arguments.keys() & signature(quiet_world).parameters.keys()
    world = {name: arguments.pop(name) for name in of_the_world}
    return Emulator(quiet_world(**world), **arguments)  # type: ignore[arg-type]  # as the test says

"""The pytest plugin: the fixture ``samsara``, an emulator on a free port.

Installing coachstream registers it. It is installed beside the package, as ``pytest_coachstream``:
every run of pytest imports it, and coachstream takes longer to import than pytest itself. For the
same reason, coachstream is imported only when the fixture is used.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from coachstream.testing import Emulator, EmulatorThread

MARKER = (
    "samsara(**arguments): arguments for the fixture samsara, "
    "as quiet_world and Emulator of coachstream.testing take them"
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def samsara(request: pytest.FixtureRequest) -> Iterator[EmulatorThread]:
    """Samsara's coaching API, emulated on a free port: point your service at ``samsara.url``.

    Any token is accepted. There are 50 sessions of the last 90 days, in pages of 20. Only the test
    changes them (``samsara.world.add_session()``, ``.complete()``, …) and adds faults
    (``samsara.faults.append(hang_up())``). ``samsara.requests`` lists the requests. Each test has
    an emulator of its own; a marker passes other arguments::

        @pytest.mark.samsara(sessions=500, page_size=(1, 100), faults=[refuse(429)])

    The fixture is not async, and the emulator runs in a thread of its own. So it serves every kind
    of test: async ones under any plugin and mode, ordinary ones, and other processes. It runs in
    real time; for virtual time, start an ``Emulator`` in a test with ``fast_forward``.
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
            # All tests with the marker would share one world and see each other's changes.
            raise pytest.UsageError(
                "the marker samsara takes the world's own arguments, by name: (sessions=500)"
            )
        arguments |= marker.kwargs
    world_names = arguments.keys() & signature(quiet_world).parameters.keys()
    world = {name: arguments.pop(name) for name in world_names}
    return Emulator(quiet_world(**world), **arguments)  # type: ignore[arg-type]  # from the marker

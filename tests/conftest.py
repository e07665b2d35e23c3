"""What every test runs under."""

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

pytest_plugins = ["tests.support.leaks"]

settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> Iterator[BlockBuster]:
    """Fail a test in which this library, or the test itself, blocks the event loop."""
    # The kit's loop runs all of a test, and is no sign of who blocks it.
    with blockbuster_ctx("coachstream", excluded_modules=["coachstream.testing"]) as detector:
        yield detector


@pytest.fixture(autouse=True)
def _no_token_of_yours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a real token of whoever runs the tests out of them."""
    monkeypatch.delenv("SAMSARA_API_TOKEN", raising=False)

"""Fixtures and settings for every test."""

import gc
from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

pytest_plugins = ["tests.support.leaks"]

settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")


def pytest_collection_finish() -> None:
    """Exempt what collection has made, some 200,000 objects, from all later garbage collections."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> Iterator[BlockBuster]:
    """Fail a test in which the library or the test itself blocks the event loop."""
    # The test kit's loop is in the stack of every call, so it must be excluded.
    with blockbuster_ctx("coachstream", excluded_modules=["coachstream.testing"]) as detector:
        yield detector


@pytest.fixture(autouse=True)
def _no_real_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove a real token from the environment."""
    monkeypatch.delenv("SAMSARA_API_TOKEN", raising=False)
    monkeypatch.delenv("SAMSARA_BASE_URL", raising=False)

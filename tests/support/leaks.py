"""A pytest plugin: a test that shows the token, anywhere in what it puts out, has failed.

It looks at everything pytest has captured or would report, at every log record of the library at
any level, and at every event that could quote someone. What a test reads back itself, such as the
output of a process of its own, it has to search itself.
"""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

import coachstream.client
import coachstream.consumer.consume
from coachstream import Event, Observer
from coachstream.telemetry import guarded

SECRETS = (
    "token-for-tests-only",  # tests.feed.TOKEN, spelled out lest it be changed there alone
    "tok-tok-token",
    "another-token",
    "secret-token",
)
"""The tokens that tests use; whatever looks like one of these has no other meaning."""
QUOTING = ("error", "reason", "request_id", "name")
"""Fields of events that may hold another's words."""

_found: list[str] = []


def leaks(text: str) -> bool:
    """Tell whether there is a token in the text."""
    return any(secret in text for secret in SECRETS)


class Listener(logging.Handler):
    """Takes note of each log record that shows a token."""

    def emit(self, record: logging.LogRecord) -> None:
        shown = f"{record.getMessage()} {record.args!r}"
        if record.exc_info:
            shown += logging.Formatter().formatException(record.exc_info)
        if leaks(shown):
            _found.append(f"a log record of {record.name}")


def watched(observer: Observer) -> Observer:
    """Return the observer with someone who looks over its shoulder."""
    tell = guarded(observer)

    def observe(event: Event) -> None:
        for field in QUOTING:
            quoted = getattr(event, field, None)
            if quoted is not None and (leaks(str(quoted)) or leaks(repr(quoted))):
                _found.append(f"{field} of {type(event).__name__}")
        tell(event)

    return observe


@pytest.fixture(autouse=True, scope="session")
def _everyone_is_watched() -> Iterator[None]:
    listener, logger = Listener(), logging.getLogger("coachstream")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(listener)
    modules: tuple[Any, ...] = (coachstream.client, coachstream.consumer.consume)
    for module in modules:
        module.guarded = watched
    yield
    for module in modules:
        module.guarded = guarded
    logger.removeHandler(listener)
    logger.setLevel(level)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Search a phase of a test, when it is over."""
    report: pytest.TestReport = yield
    # Later phases repeat the sections of earlier ones.
    shown = [name for name, text in report.sections if leaks(text)]
    places = [name for name in shown if name.endswith(report.when)]
    if leaks(report.longreprtext):
        places.append("the report itself")
    places += _found
    _found.clear()
    if places:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} shows the token, in: {', '.join(places)}"
        report.sections = [one for one in report.sections if not leaks(one[1])]
    return report

"""A pytest plugin: a test fails if the token is anywhere in its output.

The plugin searches all that pytest captures or reports, every log record of the library at any
level, and every event with text from outside. A test that reads output itself, such as that of a
process it started, must search it itself.
"""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

import coachstream.client
import coachstream.consumer.consume
import coachstream.consumer.replay
from coachstream import Event, Observer
from coachstream.telemetry import guarded

SECRETS = (
    "token-for-tests-only",  # must equal tests.support.emulated.TOKEN
    "tok-tok-token",
    "another-token",
    "secret-token",
)
"""The tokens that tests use; these texts occur nowhere else."""
QUOTING_FIELDS = ("error", "reason", "request_id", "name")
"""Fields of events that may hold text from outside."""

_found: list[str] = []


def leaks(text: str) -> bool:
    """Return whether a token is in the text."""
    return any(secret in text for secret in SECRETS)


class SearchingHandler(logging.Handler):
    """Records each log record that contains a token."""

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.getMessage()} {record.args!r}"
        if record.exc_info:
            text += logging.Formatter().formatException(record.exc_info)
        if leaks(text):
            _found.append(f"a log record of {record.name}")


def searching(observer: Observer) -> Observer:
    """Return an observer that searches each event and then calls ``observer``."""
    deliver = guarded(observer)

    def observe(event: Event) -> None:
        for field in QUOTING_FIELDS:
            quoted = getattr(event, field, None)
            if quoted is not None and (leaks(_text(quoted)) or leaks(repr(quoted))):
                _found.append(f"{field} of {type(event).__name__}")
        deliver(event)

    return observe


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # tests raise errors that have no text
        return repr(error)


@pytest.fixture(autouse=True, scope="session")
def _search_logs_and_events() -> Iterator[None]:
    handler, logger = SearchingHandler(), logging.getLogger("coachstream")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    consumer = coachstream.consumer
    modules: tuple[Any, ...] = (coachstream.client, consumer.consume, consumer.replay)
    for module in modules:
        module.guarded = searching
    yield
    for module in modules:
        module.guarded = guarded
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Search a phase of a test after it has ended."""
    report: pytest.TestReport = yield
    # Later phases repeat the sections of earlier ones.
    sections = [name for name, text in report.sections if leaks(text)]
    where = [name for name in sections if name.endswith(report.when)]
    if leaks(report.longreprtext):
        where.append("the report itself")
    where += _found
    _found.clear()
    if where:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} shows the token, in: {', '.join(where)}"
        report.sections = [one for one in report.sections if not leaks(one[1])]
    return report

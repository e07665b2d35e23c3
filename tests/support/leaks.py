"""A pytest plugin: a test fails if a token, or a note about a driver, is in its output.

The plugin searches all that pytest captures or reports, every log record of the library at any
level, and every event. A test that reads output itself, such as that of a process it started, must
search it itself. What pytest reports of a failed test may show notes, but no token.
"""

import logging
import re
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
NOTES = (
    "Need to wear seatbelt",  # tests.support.payloads; the others are the emulator's
    "Keep four seconds to",
    "the sun was low",
    "losgefahren",
    "cintur\u00f3n",
    "\u30b7\u30fc\u30c8\u30d9\u30eb\u30c8",
    "and a tie",
    "Rolling stop at 5th",
)
"""A part of each note in the sessions of tests."""
SESSION_TEXT = re.compile(
    r"""(session_?note|coachable_?behavior_?type|behaviors)["']? ?[:=](?![:=])""", re.IGNORECASE
)
"""Matches a session's JSON and a full repr of one. Errors may name a field: ``$.sessionNote``."""
QUOTING_FIELDS = ("error", "reason", "request_id", "name")
"""Fields of events that may hold text from outside."""

_found: list[str] = []


def leaks(text: str) -> bool:
    """Return whether a token is in the text."""
    return any(secret in text for secret in SECRETS)


def shows_notes(text: str) -> bool:
    """Return whether a note, a behavior or a session's JSON is in the text."""
    escaped = text.encode().decode("unicode_escape", errors="replace") if "\\u" in text else ""
    found = any(note in text or note in escaped for note in NOTES)
    return found or SESSION_TEXT.search(text) is not None


class SearchingHandler(logging.Handler):
    """Records each log record that contains a token."""

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.getMessage()} {record.args!r}"
        if record.exc_info:
            text += logging.Formatter().formatException(record.exc_info)
        if leaks(text) or shows_notes(text):
            _found.append(f"a log record of {record.name}")


def searching(observer: Observer) -> Observer:
    """Return an observer that searches each event and then calls ``observer``."""
    deliver = guarded(observer)

    def observe(event: Event) -> None:
        for field in QUOTING_FIELDS:
            quoted = getattr(event, field, None)
            if quoted is not None and (leaks(_text(quoted)) or leaks(repr(quoted))):
                _found.append(f"{field} of {type(event).__name__}")
        if shows_notes(repr(event)):
            _found.append(f"the repr of {type(event).__name__}")
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
    sections = [name for name, text in report.sections if leaks(text) or shows_notes(text)]
    where = [name for name in sections if name.endswith(report.when)]
    if leaks(report.longreprtext):
        where.append("the report itself")
    where += _found
    _found.clear()
    if where:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} shows the token or a note, in: {', '.join(where)}"
        report.sections = [one for one in report.sections if one[0] not in sections]
    return report

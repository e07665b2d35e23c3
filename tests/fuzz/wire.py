"""What must hold of `coachstream.wire` for any bytes."""

import json
from datetime import UTC, datetime

import msgspec

from coachstream import (
    ApiError,
    CoachAssignment,
    CoachingSession,
    MalformedSessionError,
    UndecodableError,
)
from coachstream.wire import assignments, lenient, pages, refusals
from coachstream.wire.pages import Page
from tests.support import payloads

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GOOD = json.dumps(payloads.SESSION).encode()
LEAST = json.dumps(payloads.LEAST_SESSION).encode()
_SHALLOW = 200
"""The depth that can always be read; beyond it, the result depends on the stack in use."""


def check(data: bytes) -> str:
    """Read ``data`` with every reader, and return the outcomes as words.

    Raises:
        AssertionError: A promise is broken. Any other exception is a failure, too.
    """
    return " ".join(
        (
            _check_page(data),
            _check_session(data),
            _check_assignments(data),
            _check_error_response(data),
            _check_headers(data),
        )
    )


def _check_page(body: bytes) -> str:
    try:
        fast = pages.sessions_page(body)
    except UndecodableError as error:
        check_text(error)
        assert _page_or_none(body, keep_raw=True) is None
        return f"undecodable:{error_shape(error)}"
    slow = _page_or_none(body, keep_raw=True)
    assert slow is not None
    assert _comparable(fast) == _comparable(slow)
    assert fast.size == slow.size == len(body)
    mended = lenient.repaired_text(body)
    verbatim = mended == body.removeprefix(b"\xef\xbb\xbf")
    for one in slow.entries:
        assert one.raw is not None
        assert one.raw in mended
        assert not verbatim or one.raw in body
    return "page:" + ",".join(sorted({_outcome(one) for one in fast.entries}))


def _page_or_none(body: bytes, *, keep_raw: bool) -> Page | None:
    try:
        return pages.sessions_page(body, keep_raw=keep_raw)
    except UndecodableError:
        return None


def _comparable(page: Page) -> object:
    entries = [
        one.raw
        if isinstance(one, MalformedSessionError)
        else msgspec.structs.replace(one, raw=None)
        for one in page.entries
    ]
    return entries, page.end_cursor, page.has_next_page


def _check_session(raw: bytes) -> str:
    read = pages.session(raw)
    if isinstance(read, MalformedSessionError):
        assert read.raw == raw
        check_text(read)
    elif raw.count(b"[") + raw.count(b"{") < _SHALLOW:
        assert read == pages._decode_leniently(raw), "the slow reader reads it differently"
        assert pages.session(msgspec.json.encode(read)) == read
    if _is_one_value(raw):
        page = pages.sessions_page(
            b'{"data":[%s,%s,%s],"pagination":{"endCursor":"x","hasNextPage":true}}'
            % (GOOD, raw, LEAST)
        )
        before, itself, after = page.entries
        assert (before, after) == (pages.session(GOOD), pages.session(LEAST))
        assert type(itself) is type(read)
        assert itself == read or (
            isinstance(itself, MalformedSessionError) and itself.raw == raw.strip(b" \t\r\n")
        )
    return _outcome(read)


def _is_one_value(raw: bytes) -> bool:
    """Return whether this is one JSON value of valid text, and not nested too deep."""
    if raw.count(b"[") + raw.count(b"{") >= _SHALLOW or lenient.repaired_text(raw) != raw:
        return False
    try:
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


def _check_assignments(body: bytes) -> str:
    outcome = []
    try:
        listed, _ = assignments.assignments_page(body)
        assert all(one.coach_id != "" for one in listed if isinstance(one, CoachAssignment))
        outcome.append("assignments")
    except UndecodableError as error:
        check_text(error)
    try:
        assert assignments.assignment_change(body).coach_id != ""
        outcome.append("change")
    except UndecodableError as error:
        check_text(error)
    return "+".join(outcome)


def _check_error_response(body: bytes) -> str:
    status = 100 + (body[0] * 4 + len(body)) % 900 if body else 503
    error = refusals.error_from_response(status, {}, body, now=NOW, route="GET /x")
    assert isinstance(error, ApiError)
    assert error.status == status
    assert len(error.body) <= 4096
    check_text(error)
    return type(error).__name__


def _check_headers(data: bytes) -> str:
    """Read the text as Retry-After and Date headers."""
    value, _, date = data[:200].decode("latin-1").partition("\n")
    headers = {"Retry-After": value, "Date": date or value}
    seconds = refusals.retry_after(headers, now=NOW)
    assert seconds is None or 0 <= seconds <= refusals.MAX_RETRY_AFTER
    return "wait" if seconds is not None else "no wait"


def check_text(error: Exception) -> None:
    """Check the text of an error, as logs would show it."""
    assert str(error).encode()
    assert repr(error)
    assert len(getattr(error, "body", b"")) <= 4096


def _outcome(one: CoachingSession | MalformedSessionError) -> str:
    return "session" if isinstance(one, CoachingSession) else f"malformed:{error_shape(one)}"


def error_shape(error: Exception) -> str:
    """Return the error's message without the parts that differ from case to case."""
    words = "".join(" " if sign.isdigit() else sign for sign in str(error))
    return words.partition("(byte")[0][-60:]

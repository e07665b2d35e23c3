"""Bytes to values: pages, assignments and refusals, as the API's answers tell them.

Pure, and total: whatever the bytes, only this library's errors come out.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NoReturn

import msgspec

from . import errors
from .errors import ApiError, MalformedSessionError, UndecodableError
from .models import (
    AssignmentChange,
    CoachAssignment,
    CoachingSession,
    Driver,
    ErrorBody,
    Model,
    Pagination,
    Time,
)

# What msgspec may raise on bytes: its own errors, text that is not UTF-8, nesting without end.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the sessions endpoint."""

    entries: tuple[CoachingSession | MalformedSessionError, ...]
    """All of the page's sessions in the server's order, those that can't be read among them."""
    end_cursor: str
    has_next_page: bool
    size: int
    """Bytes of the answer's body, decompressed."""

    @property
    def sessions(self) -> tuple[CoachingSession, ...]:
        """The sessions that can be read."""
        return tuple(entry for entry in self.entries if isinstance(entry, CoachingSession))

    @property
    def malformed(self) -> tuple[MalformedSessionError, ...]:
        """Those that can't."""
        return tuple(entry for entry in self.entries if isinstance(entry, MalformedSessionError))


class _SessionsAnswer(Model, frozen=True):
    data: tuple[CoachingSession, ...]
    pagination: Pagination


class _LoosePagination(Model, frozen=True):
    # hasNextPage has no default: to take a missing one for "no more" could end a stream early.
    has_next_page: bool
    end_cursor: str | None = ""


class _LooseAnswer(Model, frozen=True):
    data: tuple[msgspec.Raw, ...] | None
    pagination: _LoosePagination


class _Outlook(Model, frozen=True):
    pagination: _LoosePagination


class _AssignmentsAnswer(Model, frozen=True, kw_only=True):
    data: tuple[CoachAssignment, ...] = ()
    pagination: _LoosePagination


class _ChangeAnswer(Model, frozen=True):
    data: AssignmentChange


_sessions_answer = msgspec.json.Decoder(_SessionsAnswer)
_outlook = msgspec.json.Decoder(_Outlook)
_loose_answer = msgspec.json.Decoder(_LooseAnswer)
_session = msgspec.json.Decoder(CoachingSession)
_error_body = msgspec.json.Decoder(ErrorBody)


def sessions_page(body: bytes, *, keep_raw: bool = False) -> Page:
    """Read a page of sessions.

    The page is decoded as a whole; if that fails, or the raw sessions are to be kept, session by
    session, so that one that can't be read costs no other.

    Raises:
        UndecodableError: the page itself is not one.
    """
    if not keep_raw:
        try:
            answer = _sessions_answer.decode(body)
        except _UNREADABLE:
            pass  # not an answer yet: the slower way tells what is wrong, and with which session
        else:
            return Page(
                entries=answer.data,
                end_cursor=answer.pagination.end_cursor,
                has_next_page=answer.pagination.has_next_page,
                size=len(body),
            )
    try:
        loose = _loose_answer.decode(_mended_text(body))
    except _UNREADABLE as error:
        _refuse("a page of sessions", error, body)
    return Page(
        entries=tuple(session(bytes(raw), keep_raw=keep_raw) for raw in loose.data or ()),
        end_cursor=loose.pagination.end_cursor or "",
        has_next_page=loose.pagination.has_next_page,
        size=len(body),
    )


def outlook(body: bytes) -> str | None:
    """Tell in next to no time which cursor leads on from a page of sessions; None: none is seen.

    It looks at what stands from the last ``"pagination"`` on, and so may be wrong about a page
    that is odd enough. `sessions_page` is not: ask it before you rely on this.
    """
    tail = body[body.rfind(b'"pagination"') :]
    # A page without sessions is no reason to hurry, be there more or not.
    if b'"updatedAtTime"' not in body:
        return None
    try:
        pagination = _outlook.decode(b"{" + tail).pagination
    except _UNREADABLE:
        return None
    return (pagination.end_cursor or None) if pagination.has_next_page else None


def assignments_page(body: bytes) -> tuple[tuple[CoachAssignment, ...], Pagination]:
    """Read a page of assignments.

    Raises:
        UndecodableError: it is not one.
    """
    try:
        answer = msgspec.convert(_without_blanks(_json(body)), _AssignmentsAnswer)
    except _UNREADABLE as error:
        _refuse("a page of assignments", error, body)
    pagination = answer.pagination
    return tuple(_with_real_coach(one) for one in answer.data), Pagination(
        end_cursor=pagination.end_cursor or "", has_next_page=pagination.has_next_page
    )


def assignment_change(body: bytes) -> CoachAssignment:
    """Read the answer to a change of assignment.

    Raises:
        UndecodableError: it is not one.
    """
    try:
        change = msgspec.convert(_without_blanks(_json(body)), _ChangeAnswer).data
    except _UNREADABLE as error:
        _refuse("a changed assignment", error, body)
    return CoachAssignment(
        driver=Driver(driver_id=change.driver_id),
        coach_id=change.coach_id or None,
        created_at_time=change.created_at_time,
        updated_at_time=change.updated_at_time,
    )


def _with_real_coach(assignment: CoachAssignment) -> CoachAssignment:
    """Read an empty coach id as none ("will be empty if no driver coach is assigned")."""
    if assignment.coach_id == "":
        return msgspec.structs.replace(assignment, coach_id=None)
    return assignment


def _json(body: bytes) -> object:
    return msgspec.json.decode(_mended_text(body).decode(errors="replace"))


_LONE_SURROGATE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
"""An escaped backslash, a pair of surrogates, or one alone: only that is wrong."""


def _mended_text(body: bytes) -> bytes:
    """Return JSON without what some writers leave in: a byte order mark, half a character.

    A note cut off in the middle of an emoji must not cost the page.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    return _LONE_SURROGATE.sub(lambda found: b"\\ufffd" if found["lone"] else found[0], body)


def _refuse(what: str, error: Exception, body: bytes) -> NoReturn:
    raise UndecodableError(f"not {what}: {error}", body=body) from error


def session(raw: bytes, *, keep_raw: bool = False) -> CoachingSession | MalformedSessionError:
    """Read one session; what can't be read is returned as the error that says why."""
    try:
        read = _session.decode(raw)
    except _UNREADABLE:
        mended = _mended(raw)
        if isinstance(mended, MalformedSessionError):
            return mended
        read = mended
    return msgspec.structs.replace(read, raw=raw) if keep_raw else read


def _mended(raw: bytes) -> CoachingSession | MalformedSessionError:
    """Read a session in which absent values are spelled ``null`` or, for times, ``""``.

    Bytes that are no text are shown as such: a note cut off within a character is a note.
    """
    value: object = None
    try:
        value = msgspec.json.decode(raw.decode(errors="replace"))
        return msgspec.convert(_without_blanks(value), CoachingSession)
    except _UNREADABLE as error:
        fields = value if isinstance(value, dict) else {}
        return MalformedSessionError(
            str(error),
            raw=raw,
            session_id=_text(fields.get("id")),
            updated_at_time=_time(fields.get("updatedAtTime")),
        )


def _without_blanks(value: object) -> object:
    if isinstance(value, list):
        return [_without_blanks(item) for item in value]
    if isinstance(value, dict):
        return {
            name: _without_blanks(item)
            for name, item in value.items()
            if item is not None and not (item == "" and name.endswith("Time"))
        }
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _time(value: object) -> datetime | None:
    try:
        return msgspec.convert(value, Time)
    except _UNREADABLE:
        return None


_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    400: errors.BadRequestError,
    401: errors.UnauthorizedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    405: errors.MethodNotAllowedError,
    408: errors.RequestTimeoutError,
    413: errors.ContentTooLargeError,
    429: errors.RateLimitError,
    500: errors.InternalServerError,
    501: errors.NotImplementedApiError,
    502: errors.BadGatewayError,
    503: errors.ServiceUnavailableError,
    504: errors.GatewayTimeoutError,
}


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    route: str | None = None,
) -> ApiError:
    """Turn any answer but a 200 into its error.

    Bodies are ``{message, requestId}``, but 5xx ones may be plain text
    (https://developers.samsara.com/docs/response-codes).
    """
    try:
        told = _error_body.decode(body)
    except _UNREADABLE:
        text = " ".join(body[:500].decode(errors="replace").split())
        told = ErrorBody(message=text or "no message", request_id="")
    return _error_class(status)(
        status,
        told.message,
        request_id=headers.get("Request-Id") or told.request_id or None,
        headers=headers,
        body=body,
        retry_after=retry_after(headers, now=now),
        route=route,
    )


def _error_class(status: int) -> type[ApiError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return errors.RedirectError
    return errors.ServerError if status >= 500 else ApiError


LONGEST_WAIT = 86_400.0
"""Seconds a server is believed when it asks for patience: beyond a day it must be a mistake, and
whoever waited for years would have stalled."""

_SECONDS = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*", re.ASCII)


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return how many seconds the answer asks to wait; None if it does not, or not readably.

    Samsara sends fractions ("0.40235", https://developers.samsara.com/docs/rate-limits), HTTP
    allows whole seconds and dates. A date counts from the answer's own ``Date``, so that the two
    machines' clocks need not agree.
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    if seconds := _SECONDS.fullmatch(value):
        return min(float(seconds[1]), LONGEST_WAIT)
    until = http_date(value)
    if until is None:
        return None
    since = http_date(headers.get("Date", "")) or now
    return min(max(0.0, (until - since).total_seconds()), LONGEST_WAIT)


def http_date(value: str) -> datetime | None:
    """Return the moment a header names; None if it does so not readably."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

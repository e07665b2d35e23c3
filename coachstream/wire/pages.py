"""Bytes to pages of sessions.

Pure, and total: whatever the bytes, only this library's errors come out.
"""

from datetime import datetime

import msgspec

from ..errors import MalformedSessionError
from ..models import CoachingSession, Model, Pagination, Time
from .lenient import UNREADABLE, LoosePagination, mended_text, refuse, without_blanks

Entry = CoachingSession | MalformedSessionError
"""A session of a page, or the error that says why it can't be read."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the sessions endpoint."""

    entries: tuple[Entry, ...]
    """All of the page's sessions in the server's order, those that can't be read among them."""
    end_cursor: str
    has_next_page: bool
    size: int
    """Bytes of the answer's body, decompressed."""
    received_at: datetime | None = None
    """When it came, by this machine's clock."""

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


class _LooseAnswer(Model, frozen=True):
    data: tuple[msgspec.Raw, ...] | None
    pagination: LoosePagination


class _Outlook(Model, frozen=True):
    pagination: LoosePagination


_sessions_answer = msgspec.json.Decoder(_SessionsAnswer)
_outlook = msgspec.json.Decoder(_Outlook)
_loose_answer = msgspec.json.Decoder(_LooseAnswer)
_session = msgspec.json.Decoder(CoachingSession)


def sessions_page(
    body: bytes, *, keep_raw: bool = False, received_at: datetime | None = None
) -> Page:
    """Read a page of sessions.

    The page is decoded as a whole; if that fails, or the raw sessions are to be kept, session by
    session, so that one that can't be read costs no other.

    Raises:
        UndecodableError: the page itself is not one.
    """
    if not keep_raw:
        try:
            answer = _sessions_answer.decode(body)
        except UNREADABLE:
            pass  # not an answer yet: the slower way tells what is wrong, and with which session
        else:
            return Page(
                entries=answer.data,
                end_cursor=answer.pagination.end_cursor,
                has_next_page=answer.pagination.has_next_page,
                size=len(body),
                received_at=received_at,
            )
    try:
        loose = _loose_answer.decode(mended_text(body))
    except UNREADABLE as error:
        refuse("a page of sessions", error, body)
    return Page(
        entries=tuple(session(bytes(raw), keep_raw=keep_raw) for raw in loose.data or ()),
        end_cursor=loose.pagination.end_cursor or "",
        has_next_page=loose.pagination.has_next_page,
        size=len(body),
        received_at=received_at,
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
    except UNREADABLE:
        return None
    return (pagination.end_cursor or None) if pagination.has_next_page else None


def session(raw: bytes, *, keep_raw: bool = False) -> Entry:
    """Read one session; what can't be read is returned as the error that says why."""
    try:
        read = _session.decode(raw)
    except UNREADABLE:
        mended = _mended(raw)
        if isinstance(mended, MalformedSessionError):
            return mended
        read = mended
    return msgspec.structs.replace(read, raw=raw) if keep_raw else read


def _mended(raw: bytes) -> Entry:
    """Read a session in which absent values are spelled ``null`` or, for times, ``""``.

    Bytes that are no text are shown as such: a note cut off within a character is a note.
    """
    value: object = None
    try:
        value = msgspec.json.decode(raw.decode(errors="replace"))
        return msgspec.convert(without_blanks(value), CoachingSession)
    except UNREADABLE as error:
        fields = value if isinstance(value, dict) else {}
        return MalformedSessionError(
            str(error),
            raw=raw,
            session_id=_text(fields.get("id")),
            updated_at_time=_time(fields.get("updatedAtTime")),
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _time(value: object) -> datetime | None:
    try:
        return msgspec.convert(value, Time)
    except UNREADABLE:
        return None

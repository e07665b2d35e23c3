"""Decodes pages of sessions.

Whatever the bytes are, only this library's errors are raised.
"""

from datetime import datetime

import msgspec

from ..errors import MalformedSessionError
from ..models import CoachingSession, Model, Pagination, Time
from .lenient import (
    DECODE_ERRORS,
    LoosePagination,
    raise_undecodable,
    repaired_text,
    without_blanks,
)

Entry = CoachingSession | MalformedSessionError
"""A session of a page, or the error that explains why it can't be decoded."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One response of the sessions endpoint."""

    entries: tuple[Entry, ...]
    """All sessions of the page, in the server's order; an error for each that can't be decoded."""
    end_cursor: str
    has_next_page: bool
    size: int
    """Bytes of the response's body, decompressed."""
    received_at: datetime | None = None
    """When the response came, by this machine's clock."""
    served_at: datetime | None = None
    """When the server sent it, by its own clock."""

    @property
    def sessions(self) -> tuple[CoachingSession, ...]:
        """The decoded sessions."""
        return tuple(entry for entry in self.entries if isinstance(entry, CoachingSession))

    @property
    def malformed(self) -> tuple[MalformedSessionError, ...]:
        """The errors of the sessions that can't be decoded."""
        return tuple(entry for entry in self.entries if isinstance(entry, MalformedSessionError))


class _SessionsResponse(Model, frozen=True):
    data: tuple[CoachingSession, ...]
    pagination: Pagination


class _LooseResponse(Model, frozen=True):
    data: tuple[msgspec.Raw, ...] | None
    pagination: LoosePagination


class _PaginationOnly(Model, frozen=True):
    pagination: LoosePagination


_sessions_response = msgspec.json.Decoder(_SessionsResponse)
_pagination_only = msgspec.json.Decoder(_PaginationOnly)
_loose_response = msgspec.json.Decoder(_LooseResponse)
_session = msgspec.json.Decoder(CoachingSession)


def sessions_page(
    body: bytes, *, keep_raw: bool = False, received_at: datetime | None = None
) -> Page:
    """Decode a page of sessions.

    The page is decoded as a whole, which is fast. If that fails, or with ``keep_raw``, it is
    decoded session by session, so that a malformed session does not affect the others.

    Raises:
        UndecodableError: the body is not a page of sessions.
    """
    if not keep_raw:
        try:
            page = _sessions_response.decode(body)
        except DECODE_ERRORS:
            pass  # decoding session by session finds out which one is malformed
        else:
            return Page(
                entries=page.data,
                end_cursor=page.pagination.end_cursor,
                has_next_page=page.pagination.has_next_page,
                size=len(body),
                received_at=received_at,
            )
    try:
        loose = _loose_response.decode(repaired_text(body))
    except DECODE_ERRORS as error:
        raise_undecodable("a page of sessions", error, body)
    return Page(
        entries=tuple(session(bytes(raw), keep_raw=keep_raw) for raw in loose.data or ()),
        end_cursor=loose.pagination.end_cursor or "",
        has_next_page=loose.pagination.has_next_page,
        size=len(body),
        received_at=received_at,
    )


def guess_next_cursor(body: bytes) -> str | None:
    """Guess the cursor of the next page quickly, without decoding the page; None: found none.

    It decodes only the text after the last ``"pagination"``, so it can be wrong about an unusual
    page. Check the guess with `sessions_page` before relying on it.
    """
    tail = body[body.rfind(b'"pagination"') :]
    # After a page without sessions, the next one is not urgent.
    if b'"updatedAtTime"' not in body:
        return None
    try:
        pagination = _pagination_only.decode(b"{" + tail).pagination
    except DECODE_ERRORS:
        return None
    return (pagination.end_cursor or None) if pagination.has_next_page else None


def session(raw: bytes, *, keep_raw: bool = False) -> Entry:
    """Decode one session; if that fails, return the error that explains why."""
    try:
        read = _session.decode(raw)
    except DECODE_ERRORS:
        mended = _decode_leniently(raw)
        if isinstance(mended, MalformedSessionError):
            return mended
        read = mended
    return msgspec.structs.replace(read, raw=raw) if keep_raw else read


def _decode_leniently(raw: bytes) -> Entry:
    """Decode a session in which absent values are ``null`` or, for times, ``""``.

    Bytes that are not UTF-8 are replaced, as in a note that was cut off within a character.
    """
    value: object = None
    try:
        value = msgspec.json.decode(raw.decode(errors="replace"))
        return msgspec.convert(without_blanks(value), CoachingSession)
    except DECODE_ERRORS as error:
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
    except DECODE_ERRORS:
        return None

"""Decodes pages of sessions.

Whatever the bytes are, only this library's errors are raised.
"""

from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from ..brief import brief_repr
from ..errors import MalformedSessionError, UndecodableError
from ..models import CoachingSession, Model, Pagination
from .lenient import DECODE_ERRORS, LoosePagination, decode_json, mended, read_time
from .records import find_pagination, members, split_page

Entry = CoachingSession | MalformedSessionError
"""A session of a page, or the error that explains why it can't be decoded."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One response of the sessions endpoint.

    Attributes:
        entries: All sessions of the page, in the server's order; an error for each that can't be
            decoded.
        size: Bytes of the response's body, decompressed.
        body: The body, if `sessions_page` decodes just these entries from it.
        received_at: When the response came, by this machine's clock.
        served_at: When the server sent it, by its own clock.
    """

    entries: tuple[Entry, ...]
    end_cursor: str
    has_next_page: bool
    size: int
    body: bytes | None = None
    received_at: datetime | None = None
    served_at: datetime | None = None

    @property
    def sessions(self) -> tuple[CoachingSession, ...]:
        """The decoded sessions."""
        return tuple(entry for entry in self.entries if isinstance(entry, CoachingSession))

    @property
    def malformed(self) -> tuple[MalformedSessionError, ...]:
        """The errors of the sessions that can't be decoded."""
        return tuple(entry for entry in self.entries if isinstance(entry, MalformedSessionError))

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        fields = [name for name in self.__struct_fields__ if name != "body"]
        return [(name, getattr(self, name)) for name in fields]

    def __repr__(self) -> str:
        return brief_repr(type(self), self.__rich_repr__())


class _SessionsResponse(Model, frozen=True):
    data: tuple[CoachingSession, ...]
    pagination: Pagination


class _PaginationOnly(Model, frozen=True):
    pagination: LoosePagination


_sessions_response = msgspec.json.Decoder(_SessionsResponse)
_pagination_only = msgspec.json.Decoder(_PaginationOnly)
_session = msgspec.json.Decoder(CoachingSession)


def sessions_page(
    body: bytes, *, keep_raw: bool = False, received_at: datetime | None = None
) -> Page:
    """Decode a page of sessions.

    The page is decoded as a whole, which is fast. If that fails, or with ``keep_raw``, it is
    decoded session by session, so that a malformed session does not affect the others, even if it
    is no JSON.

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
                body=body,
                received_at=received_at,
            )
    records, pagination = split_page(body, "a page of sessions")
    return Page(
        entries=tuple(session(raw, keep_raw=keep_raw) for raw in records),
        end_cursor=pagination.end_cursor,
        has_next_page=pagination.has_next_page,
        size=len(body),
        received_at=received_at,
    )


def unread_page(error: UndecodableError, body: bytes, *, received_at: datetime) -> Page:
    """Return a page that can't be decoded as one malformed session, so that reading can go on.

    Raises:
        UndecodableError: the error, if the body does not say where to go on.
    """
    pagination = find_pagination(body)
    if pagination is None:
        raise error
    return Page(
        entries=(MalformedSessionError(f"a whole page is {error}", raw=body),),
        end_cursor=pagination.end_cursor,
        has_next_page=pagination.has_next_page,
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
        lenient = _decode_leniently(raw)
        if isinstance(lenient, MalformedSessionError):
            return lenient
        read = lenient
    return msgspec.structs.replace(read, raw=raw) if keep_raw else read


def _decode_leniently(raw: bytes) -> Entry:
    try:
        return msgspec.convert(mended(decode_json(raw)), CoachingSession)
    except DECODE_ERRORS as error:
        fields = _readable_fields(raw)
        id_, time = fields.get("id"), read_time(fields.get("updatedAtTime"))
        return MalformedSessionError(
            str(error),
            raw=raw,
            session_id=id_ if isinstance(id_, str) else None,
            updated_at_time=time if isinstance(time, datetime) else None,
        )


def _readable_fields(raw: bytes) -> dict[str, object]:
    """Return those fields of a session that can be decoded by themselves."""
    fields = {}
    with suppress(ValueError):
        for name, value in members(raw).items():
            with suppress(*DECODE_ERRORS):
                fields[name.decode()] = decode_json(value)
    return fields

"""Splits a page into its records, so that one that can't be decoded does not cost the others."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from ..models import Model, Pagination
from .lenient import DECODE_ERRORS, LoosePagination, raise_undecodable, repaired_text


class _Response(Model, frozen=True):
    data: tuple[msgspec.Raw, ...] | None
    pagination: LoosePagination


_response = msgspec.json.Decoder(_Response)
_pagination = msgspec.json.Decoder(LoosePagination)


def split_page(body: bytes, what: str) -> tuple[Sequence[bytes], Pagination]:
    """Return the JSON of each record of a page, and its pagination.

    If the page is no valid JSON, or nested too deep, it is cut where its own brackets and commas
    are; then a record may be no JSON.

    Raises:
        UndecodableError: the body is not ``what``, or can't be cut.
    """
    text = repaired_text(body)
    try:
        response = _response.decode(text)
        return [bytes(raw) for raw in response.data or ()], response.pagination.strict()
    except DECODE_ERRORS as error:
        problem = error
    try:
        parts = members(text)
        data, pagination = parts[b"data"], _pagination.decode(parts[b"pagination"])
        return [] if data == b"null" else elements(data), pagination.strict()
    except (KeyError, ValueError, *DECODE_ERRORS):
        raise_undecodable(what, problem, body)


_FLAT_PAGINATION = re.compile(rb'"pagination"\s*:\s*(\{[^{}]*\})')


def find_pagination(body: bytes) -> Pagination | None:
    """Return the pagination of a page that can't be cut; None: it is not certain which it is."""
    found = _FLAT_PAGINATION.findall(body)
    try:
        return _pagination.decode(found[0]).strict() if len(found) == 1 else None
    except DECODE_ERRORS:
        return None


_NAME = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:', re.DOTALL)


def members(text: bytes) -> Mapping[bytes, bytes]:
    """Return the JSON of each member of an object by its name, whether it is JSON or not.

    Raises:
        ValueError: it is not certain where a member ends.
    """
    found = {}
    for part in _cut(text, b"{"):
        name = _NAME.match(part)
        if name is None:
            raise ValueError("a member has no name")
        found[name[1]] = part[name.end() :].strip()
    return found


def elements(text: bytes) -> list[bytes]:
    """Return each element of an array, whether it is JSON or not.

    Raises:
        ValueError: it is not certain where an element ends.
    """
    return _cut(text, b"[")


_MARK = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{},]', re.DOTALL)
_CLOSING = {b"[": b"]", b"{": b"}"}


def _cut(text: bytes, opening: bytes) -> list[bytes]:
    """Return what is between an object's or array's own commas."""
    text = text.strip()
    if not text.startswith(opening):
        raise ValueError(f"it does not begin with {opening!r}")
    found, open_brackets, start = [], list[bytes](), 1
    for mark in _MARK.finditer(text):
        kind = mark[0]
        if kind in _CLOSING:
            open_brackets.append(_CLOSING[kind])
        elif kind == b"," and len(open_brackets) == 1:
            found.append(text[start : mark.start()].strip())
            start = mark.end()
        elif kind in b"]}":
            if not open_brackets or open_brackets.pop() != kind:
                raise ValueError("the brackets do not match")
            if not open_brackets and mark.end() < len(text):
                raise ValueError("something follows")
        elif kind == b'"':
            raise ValueError("a string does not end")
    if open_brackets or not text.endswith(_CLOSING[opening]):
        raise ValueError("a bracket is not closed")
    found.append(text[start:-1].strip())
    return [part for part in found if part]

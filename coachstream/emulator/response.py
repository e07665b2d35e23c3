"""Responses, before they are sent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

Key = tuple[str, str]
"""Identifies a version as served: the session's id and its updatedAtTime."""

MESSAGES: Mapping[int, str] = {
    401: "Invalid token.",
    403: "Permission denied.",
    404: "Object not found.",
    413: "Content too large.",
    429: "Exceeded rate limit.",
    500: "Internal server error.",
    501: "Not implemented.",
    502: "Bad gateway.",
    503: "Service unavailable.",
    504: "Gateway timeout.",
}
"""The default message of an error, by status."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response: status, headers and body, and the versions in it."""

    status: int = 200
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": JSON})
    served: tuple[Key, ...] = ()


def page(
    items: Iterable[bytes], *, cursor: str, has_next: bool, served: tuple[Key, ...] = ()
) -> Response:
    """Return a page of items that are already encoded as JSON."""
    pagination = msgspec.json.encode({"endCursor": cursor, "hasNextPage": has_next})
    body = b'{"data":[%b],"pagination":%b}' % (b",".join(items), pagination)
    return Response(body=body, served=served)


def error(
    status: int,
    message: str | None = None,
    *,
    request_id: str,
    bodies: Literal["json", "text"] = "json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error as the API does: message and requestId, or only the message as text."""
    message = message or MESSAGES.get(status, "Error.")
    if bodies == "text":
        kind, body = TEXT, message.encode()
    else:
        kind, body = JSON, msgspec.json.encode({"message": message, "requestId": request_id})
    return Response(status=status, body=body, headers={"Content-Type": kind, **(headers or {})})

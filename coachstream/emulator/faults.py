"""Faults to inject, as values for ``Emulator(faults=[…])``.

Faults form a queue. Each request with a valid token takes the first fault for its route; without
one, the response is normal. ``refuse``, ``redirect``, ``garble`` and ``hang_up`` respond before the
rate limit is checked: they don't count towards it, and a PUT has no effect. The other faults damage
the real response, which may be a page or a 429; a PUT has then taken effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Route = Literal["sessions", "assignments"]

Kind = Literal[
    "serve",
    "refuse",
    "redirect",
    "garble",
    "hang_up",
    "cut_short",
    "stall",
    "slow",
    "oversize",
    "empty_page",
    "malformed_session",
]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault for one request, created by the functions of this module.

    Attributes:
        route: The requests it applies to; None for any.
    """

    kind: Kind
    route: Route | None = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    seconds: float = 0.0
    size: int = 0
    gzip: bool = False
    replace: tuple[tuple[str, object], ...] = ()


def serve(*, route: Route | None = None) -> Fault:
    """Respond normally to one request, so that later faults apply to later requests."""
    return Fault(kind="serve", route=route)


def refuse(
    status: int,
    *,
    retry_after: float | str | None = None,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    route: Route | None = None,
) -> Fault:
    """Respond with an error.

    Args:
        status: The HTTP status.
        retry_after: Seconds, sent with five decimals as Samsara does, or the header's text.
        body: The body; by default that of the API for this status.
        headers: More headers.
        route: The requests it applies to.
    """
    sent = dict(headers or {})
    if retry_after is not None:
        text = retry_after if isinstance(retry_after, str) else f"{retry_after:.5f}"
        sent["Retry-After"] = text
    raw = body.encode() if isinstance(body, str) else body
    return Fault(kind="refuse", route=route, status=status, headers=tuple(sent.items()), body=raw)


def redirect(location: str, *, status: int = 307, route: Route | None = None) -> Fault:
    """Redirect the client to another URL, to which it must not send the token."""
    return Fault(kind="redirect", route=route, status=status, headers=(("Location", location),))


def garble(*, route: Route | None = None) -> Fault:
    """Respond with status 200 and bytes that are not JSON."""
    return Fault(kind="garble", route=route, body=b'{"data": [\xff\xfe<html>502 Bad Gateway')


def hang_up(*, route: Route | None = None) -> Fault:
    """Close the connection without a response."""
    return Fault(kind="hang_up", route=route)


def cut_short(bytes: int = 20, *, route: Route | None = None) -> Fault:  # noqa: A002 - the best name
    """Announce the whole body, send its first ``bytes``, and close the connection.

    At least one byte of the body is not sent.
    """
    return Fault(kind="cut_short", route=route, size=bytes)


def stall(seconds: float = 3600.0, *, route: Route | None = None) -> Fault:
    """Send half of the body, then nothing for ``seconds``, then close the connection."""
    return Fault(kind="stall", route=route, seconds=seconds)


def slow(seconds: float, *, route: Route | None = None) -> Fault:
    """Send the whole response, but ``seconds`` late."""
    return Fault(kind="slow", route=route, seconds=seconds)


def oversize(
    bytes: int = 1 << 30,  # noqa: A002 - the best name
    *,
    gzip: bool = False,
    route: Route | None = None,
) -> Fault:
    """Respond with an empty page that is padded with spaces to ``bytes``, streamed.

    Args:
        bytes: The uncompressed size of the body.
        gzip: Send it compressed to about a thousandth of that size (a compression bomb).
        route: The requests it applies to.
    """
    return Fault(kind="oversize", route=route, size=bytes, gzip=gzip)


def empty_page(*, route: Route | None = None) -> Fault:
    """Respond with no data, hasNextPage true, and a new cursor for the same position."""
    return Fault(kind="empty_page", route=route)


def malformed_session(*, route: Route | None = None, **replace: object) -> Fault:
    """Replace fields of the page's first session, so that it can't be decoded.

    A page without sessions is not changed, and the fault is used up.

    Args:
        route: The requests it applies to.
        replace: JSON values by the API's field names; ``...`` removes a field. By default,
            updatedAtTime is not a valid time.
    """
    changes = replace or {"updatedAtTime": "yesterday"}
    return Fault(kind="malformed_session", route=route, replace=tuple(changes.items()))

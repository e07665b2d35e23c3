"""What can be made to go wrong, as values for ``Emulator(faults=[…])``.

A script is a queue. Each request that has passed the check of its token takes the first fault meant
for its route; a request that finds none is answered as ever. ``refuse``, ``redirect``, ``garble``
and ``hang_up`` answer before the rate limit is looked at: they take up no room in it, and a PUT has
no effect. The others damage the true answer, be it a page or a 429; a PUT has then taken effect.
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
    """One thing that goes wrong once. Made by the functions of this module."""

    kind: Kind
    route: Route | None = None
    """The requests it is meant for; None for any."""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    seconds: float = 0.0
    size: int = 0
    gzip: bool = False
    replace: tuple[tuple[str, object], ...] = ()


def serve(*, route: Route | None = None) -> Fault:
    """Let one request through untouched, so that a later fault meets a later request."""
    return Fault(kind="serve", route=route)


def refuse(
    status: int,
    *,
    retry_after: float | str | None = None,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    route: Route | None = None,
) -> Fault:
    """Answer with an error.

    Args:
        status: Its status.
        retry_after: Seconds, sent with five decimals as Samsara does, or the header as it is.
        body: By default what the API says in that case.
        headers: Further headers.
        route: The requests it is meant for.
    """
    sent = dict(headers or {})
    if retry_after is not None:
        text = retry_after if isinstance(retry_after, str) else f"{retry_after:.5f}"
        sent["Retry-After"] = text
    raw = body.encode() if isinstance(body, str) else body
    return Fault(kind="refuse", route=route, status=status, headers=tuple(sent.items()), body=raw)


def redirect(location: str, *, status: int = 307, route: Route | None = None) -> Fault:
    """Send the client elsewhere; where it must not take the token."""
    return Fault(kind="redirect", route=route, status=status, headers=(("Location", location),))


def garble(*, route: Route | None = None) -> Fault:
    """Answer 200 with bytes that are not JSON."""
    return Fault(kind="garble", route=route, body=b'{"data": [\xff\xfe<html>502 Bad Gateway')


def hang_up(*, route: Route | None = None) -> Fault:
    """Close the connection without an answer."""
    return Fault(kind="hang_up", route=route)


def cut_short(bytes: int = 20, *, route: Route | None = None) -> Fault:  # noqa: A002 - reads best
    """Announce the whole body, send its first ``bytes``, and close the connection.

    At least one byte of the body is held back.
    """
    return Fault(kind="cut_short", route=route, size=bytes)


def stall(seconds: float = 3600.0, *, route: Route | None = None) -> Fault:
    """Send half of the body, then nothing for ``seconds``, then close the connection."""
    return Fault(kind="stall", route=route, seconds=seconds)


def slow(seconds: float, *, route: Route | None = None) -> Fault:
    """Answer whole, but ``seconds`` late."""
    return Fault(kind="slow", route=route, seconds=seconds)


def oversize(
    bytes: int = 1 << 30,  # noqa: A002 - reads best
    *,
    gzip: bool = False,
    route: Route | None = None,
) -> Fault:
    """Answer with an empty page that is blown up with blanks to ``bytes``, streamed.

    Args:
        bytes: The size of the body as JSON.
        gzip: Send it compressed, a thousandth of that size: a compression bomb.
        route: The requests it is meant for.
    """
    return Fault(kind="oversize", route=route, size=bytes, gzip=gzip)


def empty_page(*, route: Route | None = None) -> Fault:
    """Answer with a page that has no data, hasNextPage true, and a new cursor for the old place."""
    return Fault(kind="empty_page", route=route)


def malformed_session(*, route: Route | None = None, **replace: object) -> Fault:
    """Replace fields of the page's first session, so that it can't be read.

    A page without sessions is left as it is, and the fault is spent.

    Args:
        route: The requests it is meant for.
        replace: JSON values by the API's names, ``...`` to remove a field; by default the
            updatedAtTime is no time.
    """
    changes = replace or {"updatedAtTime": "yesterday"}
    return Fault(kind="malformed_session", route=route, replace=tuple(changes.items()))

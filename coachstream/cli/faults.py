"""The value of ``emulate --faults``: a list such as ``serve:9,429:0.5,hang_up``."""

import re
from collections.abc import Callable, Mapping

import click

from coachstream.emulator import (
    Fault,
    cut_short,
    empty_page,
    garble,
    hang_up,
    malformed_session,
    oversize,
    refuse,
    serve,
    slow,
    stall,
)

FORMS = """\
  serve:COUNT         respond normally, this many times (default: 1)
  STATUS:SECONDS      an error, 400 to 599, with this Retry-After (none)
  hang_up             close the connection without a response
  cut_short:BYTES     send this much of the body, then close (20)
  stall:SECONDS       send half of the body, and wait before closing (3600)
  slow:SECONDS        respond after this time (5)
  garble              send what is not JSON
  empty_page          send a page without sessions that is not the last one
  malformed_session   send a first session that can't be decoded
  oversize:BYTES      pad the page to this size (999999999)"""
"""What a fault looks like, for people. The colon and the number may be left out."""

MOST = 10_000
"""Normal responses in a row; more of them would not be worth their memory."""

_FAULTS: Mapping[str, Callable[[float | None], Fault]] = {
    "serve": lambda _: serve(),
    "cut_short": lambda size: cut_short(20 if size is None else int(size)),
    "stall": lambda seconds: stall(3600.0 if seconds is None else seconds),
    "slow": lambda seconds: slow(5.0 if seconds is None else seconds),
    "oversize": lambda size: oversize(999_999_999 if size is None else int(size)),
}
_FAULTS_WITHOUT_NUMBER: Mapping[str, Callable[[], Fault]] = {
    "hang_up": hang_up,
    "garble": garble,
    "empty_page": empty_page,
    "malformed_session": malformed_session,
}
_WORD = re.compile(r"\s*([a-z_]+|[45]\d\d)(?::(\d{1,9}(?:\.\d{1,6})?))?\s*", re.ASCII)


def parse_faults(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> list[Fault]:
    """Parse faults that are separated by commas."""
    return [fault for word in value.split(",") for fault in _parsed(word)] if value else []


def _parsed(word: str) -> list[Fault]:
    """Return the faults that one word stands for: one, or so many normal responses."""
    if match := _WORD.fullmatch(word.lower().replace("-", "_")):
        name, number = match[1], float(match[2]) if match[2] else None
        if name.isdigit():
            return [refuse(int(name), retry_after=number)]
        if name in _FAULTS_WITHOUT_NUMBER and number is None:
            return [_FAULTS_WITHOUT_NUMBER[name]()]
        count = int(number or 1) if name == "serve" else 1
        if name in _FAULTS and count <= MOST:
            return [_FAULTS[name](number)] * count
    raise click.BadParameter(f"{word.strip()!r} is not one of these:\n{FORMS}")

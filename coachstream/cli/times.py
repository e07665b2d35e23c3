"""Times as people type them: ``7d``, ``yesterday``, ``2026-03-01``, or a whole timestamp."""

import re
from datetime import UTC, date, datetime, time, timedelta

import click

from coachstream import SystemClock

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DAYS_AGO = {"today": 0, "yesterday": 1}


def parse_time(
    _context: click.Context, parameter: click.Parameter, value: str | None
) -> datetime | None:
    """Parse so long ago, the start of a day in UTC, or a timestamp with a time zone.

    What a day's start is taken for is printed: people know their days by another zone.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        if day := _day(text):
            option = f"{parameter.opts[0]} {text}"
            click.echo(f"{option} means {day:%FT%TZ}: days begin at midnight UTC.", err=True)
        moment = day or _ago(text) or datetime.fromisoformat(text.upper())
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is not a time such as 7d, 12h, 90s, yesterday, 2026-03-01 or "
            "2026-03-01T08:00:00Z."
        ) from None
    if moment.utcoffset() is None:
        raise click.BadParameter(f"{value!r} has no time zone. For UTC, append Z.")
    return moment


def _day(text: str) -> datetime | None:
    """Return the start of a day, in UTC; None if the text is no day."""
    if (days := DAYS_AGO.get(text.lower())) is not None:
        day = SystemClock().now().astimezone(UTC).date() - timedelta(days=days)
    elif re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        day = date.fromisoformat(text)
    else:
        return None
    return datetime.combine(day, time(), UTC)


def _ago(text: str) -> datetime | None:
    """Return the time that ``7d`` is for; None if the text is none of that form."""
    if (match := re.fullmatch(r"(\d+)([smhdw])", text, re.ASCII)) is None:
        return None
    return SystemClock().now() - timedelta(**{UNITS[match[2]]: int(match[1])})

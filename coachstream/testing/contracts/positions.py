"""Positions for the store suite to save."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

from coachstream import Position

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUERY = "startTime=2026-01-01T00%3A00%3A00Z"
TEXTS = (
    "",
    " ",
    "null",
    "{}",
    "a'b\"c\\d",
    "%2B+/=&;",
    "two\nlines\r\n",
    "\u0000\u0001\x7f",
    "é e\u0301 \U0001f69a \u2028",
    "opaque" * 700,
)
"""Values that an opaque cursor, an id or a query may have."""
TIMES = (
    datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC),
    NOON + timedelta(microseconds=1),
    datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2099, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
)


def at(cursor: str | None) -> Position:
    """Return a position with a cursor and no other progress."""
    return Position(query=QUERY, origin=QUERY, cursor=cursor)


def full(keys: int) -> Position:
    """Return a position that uses every field, with so many settled keys."""
    return Position(
        query=QUERY,
        origin="startTime=2025-01-01T00%3A00%3A00Z",
        cursor="opaque+/=%2B \U0001f69a é\u0000\n",
        cursor_time=NOON,
        settled=tuple((f"f1b1-{n}-\u00fc", NOON + timedelta(microseconds=n)) for n in range(keys)),
        recent=(("before", NOON - timedelta(days=1)),),
        watermark=NOON.astimezone(timezone(timedelta(hours=-8))),
        dead_cursor="dead",
    )


def edge_cases() -> Iterator[Position]:
    """Yield positions that a careless store would change."""
    yield at(None)
    yield full(0)
    for text in TEXTS:
        yield Position(
            query=text, origin=text, cursor=text, recent=((text, NOON),), dead_cursor=text
        )
    for time in TIMES:
        yield Position(
            query=QUERY, origin=QUERY, cursor_time=time, settled=(("a", time),), watermark=time
        )

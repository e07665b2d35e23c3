"""Positions for tests to save."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from coachstream.checkpoints import CheckpointStore
from coachstream.models import Position

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUERY = "startTime=2026-01-01T00%3A00%3A00Z"


def position(cursor: str | None = "cursor", **fields: Any) -> Position:
    """A position at a cursor."""
    return Position(**({"query": QUERY, "origin": QUERY, "cursor": cursor} | fields))


async def cursor_in(store: CheckpointStore, name: str = "payroll") -> str | None:
    """The cursor that is stored for a name."""
    found = await store.load(name)
    assert found is not None
    return found.position.cursor


def full(keys: int) -> Position:
    """A position that uses every field, with so many settled keys."""
    return position(
        "opaque+/=%2B \U0001f69a é\u0000\n",
        origin="startTime=2025-01-01T00%3A00%3A00Z",
        cursor_time=NOON,
        settled=tuple((f"f1b1-{n}-\u00fc", NOON + timedelta(microseconds=n)) for n in range(keys)),
        recent=(("before", NOON - timedelta(days=1)),),
        watermark=NOON.astimezone(),
        dead_cursor="dead",
    )


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_times = st.timedeltas(timedelta(-9000), timedelta(9000)).map(NOON.__add__)
_keys = st.lists(st.tuples(_texts, _times), max_size=4).map(tuple)

positions = st.builds(
    Position,
    query=_texts,
    origin=_texts,
    cursor=st.none() | _texts,
    cursor_time=st.none() | _times,
    settled=_keys,
    recent=_keys,
    watermark=st.none() | _times,
    dead_cursor=st.none() | _texts,
)
"""Any position."""

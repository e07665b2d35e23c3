"""Deliberate breaks of ``wire``."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a malformed session affects no other",
        "wire/pages",
        "entries=tuple(session(bytes(raw), keep_raw=keep_raw) for raw in loose.data or ()),",
        "entries=(),",
        ("tests/wire/test_pages.py",),
    ),
)

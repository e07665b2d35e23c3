"""Deliberate breaks of ``tasks``."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a blocked loop is reported",
        "tasks/runtime",
        "        if lag > NOTICEABLE_LAG:",
        "        if lag > 1e9:",
        ("tests/guarantees/test_it_never_stalls_in_silence.py",),
    ),
)

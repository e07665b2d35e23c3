"""Deliberate breaks of ``sessions``."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "prefetched sessions are not settled",
        "sessions/stream",
        "self._source.frontier.settle_first(self._page, self._next - self._held)",
        "self._source.frontier.settle_first(self._page, len(self._entries))",
        ("tests/sessions/test_stream.py",),
    ),
    Mutation(
        "the current session is not settled",
        "sessions/stream",
        "                self._next, self._held = index + 1, 1",
        "                self._next, self._held = index + 1, 0",
        ("tests/sessions/test_stream.py",),
    ),
)

"""Deliberate breaks of ``sessions``."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "prefetched sessions are not settled",
        "sessions/hand",
        "frontier.settle_first(self.page, self.next - self.held)",
        "frontier.settle_first(self.page, len(self.entries))",
        ("tests/sessions/test_stream.py",),
    ),
    Mutation(
        "the current session is not settled",
        "sessions/loop",
        "                hand.next, hand.held = index + 1, 1",
        "                hand.next, hand.held = index + 1, 0",
        ("tests/sessions/test_stream.py",),
    ),
)

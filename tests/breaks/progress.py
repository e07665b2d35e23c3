"""Deliberate breaks of ``progress``."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "no position is past an unfinished page",
        "progress/frontier",
        "while self._pages and not self._pages[0].left:",
        "while self._pages:",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "the watermark is no later than unsettled sessions",
        "progress/frontier",
        "        return min(highest, waiting)",
        "        return highest",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "sessions before an expired cursor are remembered",
        "progress/frontier",
        "self._recent.extend(one for one in passed if one not in recent)",
        "self._recent.extend(())",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "a second consumer of the same name is stopped",
        "progress/revisions",
        "        if not ours:\n            return False",
        "        if not ours:\n            self.stored(found)\n            return True",
        ("tests/consumer/test_consume.py", "tests/sessions/test_stream.py"),
    ),
)

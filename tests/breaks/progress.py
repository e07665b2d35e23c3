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
        "progress/checkpointer",
        "            if found is None or not ours or found.revision != self._revision + 1:",
        "            if found is None:",
        ("tests/consumer/test_consume.py", "tests/sessions/test_stream.py"),
    ),
    Mutation(
        "what is settled with equal times stays settled",
        "progress/frontier",
        "one.updated_at_time < before)",
        "one.updated_at_time <= before)",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "what stood on a page that is passed is no longer settled beyond it",
        "progress/frontier",
        "            if one in page",
        "            if False",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "times that go back keep settled versions settled",
        "progress/frontier",
        "newest - self._disorder",
        "newest",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "empty pages do not pile up",
        "progress/frontier",
        "        if self._follows_an_empty_page(reading):",
        "        if False:",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "a cursor issued again is not stored as dead",
        "progress/frontier",
        "        self._dead_cursor = None if reading.cursor == dead else dead",
        "        self._dead_cursor = dead",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "a time in the future is no watermark in what is stored",
        "progress/frontier",
        "            times = credible(times_of(reading.entries), reading.served_at)",
        "            times = times_of(reading.entries)",
        ("tests/progress/test_frontier.py",),
    ),
)

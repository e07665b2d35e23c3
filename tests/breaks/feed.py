"""Deliberate breaks of ``feed``."""

from tests.breaks.mutation import SIMULATION, Mutation

MUTATIONS = (
    Mutation(
        "settled sessions beyond the cursor are not delivered again",
        "feed/reader",
        "start.cursor, known=settled_in(start), recent=recent_in(start)",
        "start.cursor, known=(), recent=()",
        ("tests/sessions/test_stream.py", "tests/consumer/test_consume.py"),
    ),
    Mutation(
        "an empty cursor does not replace a valid one",
        "feed/paging",
        'moved = page.end_cursor not in ("", self.cursor)',
        "moved = page.end_cursor != self.cursor",
        ("tests/feed/test_paging.py",),
    ),
    Mutation(
        "an empty page is not the end",
        "feed/paging",
        "ended = self._bounded and not page.has_next_page",
        "ended = self._bounded and not (page.has_next_page and page.entries)",
        ("tests/feed/test_paging.py",),
    ),
    Mutation(
        "a backfill leaves recent changes to following",
        "feed/backfill",
        "        end = (now - OVERLAP).replace(",
        "        end = now.replace(",
        ("tests/feed/test_backfill.py",),
    ),
    Mutation(
        "a backfill ends by the server's time",
        "feed/backfill",
        "            self._began_no_earlier_than = server_now - passed",
        "            self._began_no_earlier_than = self._clock.now()",
        ("tests/feed/test_backfill.py",),
    ),
    Mutation(
        "an end_time in the future is followed",
        "feed/backfill",
        "        self._end = end if self._origin.end is None else min(end, self._origin.end)",
        "        self._end = self._origin.end or end",
        ("tests/feed/test_backfill.py",),
    ),
    Mutation(
        "windows leave no gap",
        "feed/windows",
        "            self._left.insert(0, (start + width, end))",
        "            self._left.insert(0, (start + width + NARROWEST, end))",
        ("tests/feed/test_windows.py",),
    ),
    Mutation(
        "windows do not overlap",
        "feed/windows",
        "            end = start + width\n",
        "            end = start + 2 * width\n",
        ("tests/feed/test_windows.py",),
    ),
    Mutation(
        "a partly delivered window is not given back",
        "feed/parallel",
        "        if read.pages or not times or not reading.has_next_page:",
        "        if not times or not reading.has_next_page:",
        ("tests/feed/test_backfill.py", SIMULATION),
    ),
    Mutation(
        "a window whose cursor expired starts before its end",
        "feed/reader",
        "            safe = safe if end is None else min(safe, end)",
        "            safe = min(safe, safe)",
        ("tests/feed/test_cursor_expiry.py",),
    ),
    Mutation(
        "nothing is prefetched before an idle wait",
        "feed/fetcher",
        "        if page.entries and page.has_next_page:",
        "        if True:",
        ("tests/feed/test_fetcher.py", "tests/sessions/test_stream.py"),
    ),
    Mutation(
        "an expired cursor is not sent again",
        "feed/reader",
        "        if cursor == self._dead_cursor:\n",
        "        if cursor is self:\n",
        ("tests/feed/test_cursor_expiry.py",),
    ),
)

"""Deliberate faults in the library, one line each, and the tests that must detect them.

``python -m tests.mutations`` applies each mutation to a copy of the tree, runs its tests and
reports the first that fails. A mutation that no test catches shows a missing test.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SIMULATION = "tests/simulate/test_simulation.py"
LONGEST = 240
"""The time limit, in seconds, for the tests of one mutation."""


@dataclass(frozen=True)
class Mutation:
    """One mutation."""

    promise: str
    """The promise that it breaks."""
    module: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "a session is settled only after it was handled",
        "consumer/run",
        "        try:\n            await self._call(job.session)\n",
        "        try:\n            self._settle(job.page, job.index)\n"
        "            await self._call(job.session)\n",
        ("tests/consumer/test_consume.py",),
    ),
    Mutation(
        "no position is past an unfinished page",
        "progress/frontier",
        "while self._pages and not self._pages[0].left:",
        "while self._pages:",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "a driver's sessions are handled one at a time",
        "consumer/lanes",
        "        if key not in self._waiting:\n            self._waiting[key] = None\n",
        "        if True:\n            self._waiting[key] = None\n",
        ("tests/consumer/test_lanes.py",),
    ),
    Mutation(
        "settled sessions beyond the cursor are not delivered again",
        "feed/reader",
        "self._pager = self._new_pager(start.cursor, known=start.settled)",
        "self._pager = self._new_pager(start.cursor, known=())",
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
        "a cancelled handler settles nothing",
        "consumer/run",
        "            if being_cancelled():\n                return  # then",
        "            if being_cancelled():\n"
        "                self._settle(job.page, job.index)  # then",
        ("tests/consumer/test_consume.py",),
    ),
    Mutation(
        "a store compares before it sets",
        "checkpoints/stored",
        "    if revision != after:",
        "    if revision < after:",
        ("tests/contracts/test_stores.py",),
    ),
    Mutation(
        "a file is replaced whole or not at all",
        "checkpoints/file",
        "    new.replace(path)\n",
        "    path.write_bytes(data)\n",
        ("tests/contracts/test_file_store.py", "tests/contracts/test_store_crash.py"),
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
        "        return began if self._began - began > TOLERANCE else None",
        "        return None",
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
        "a request checks the limit again after its wait",
        "http/rate_limit",
        "        while (wait := self._next_send() - clock.monotonic()) > 0:",
        "        if (wait := self._next_send() - clock.monotonic()) > 0:",
        ("tests/http/test_rate_limit.py",),
    ),
    Mutation(
        "a handler that cancels itself has failed",
        "consumer/run",
        "            if was_cancelled():",
        "            if was_cancelled() and being_cancelled():",
        ("tests/consumer/test_consume.py",),
    ),
    Mutation(
        "a request that hangs is retried",
        "http/transport",
        "        with anyio.move_on_after(self.timeout + self._grace):",
        "        with anyio.move_on_after(1e9):",
        ("tests/guarantees/test_it_never_stalls_in_silence.py",),
    ),
    Mutation(
        "a blocked loop is reported",
        "tasks/runtime",
        "        if lag > NOTICEABLE_LAG:",
        "        if lag > 1e9:",
        ("tests/guarantees/test_it_never_stalls_in_silence.py",),
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
        "watermark = self._watermark if end is None else min(self._watermark, end)",
        "watermark = self._watermark",
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
    Mutation(
        "Retry-After is a minimum",
        "retry",
        "return max(random.uniform(0.0, ceiling), at_least or 0.0)",
        "return random.uniform(0.0, ceiling)",
        ("tests/test_retry.py",),
    ),
    Mutation(
        "the rate limit is kept",
        "http/rate_limit",
        "max(self._sent_at + self._spacing, self._paused_until)",
        "self._paused_until",
        ("tests/http/test_rate_limit.py", "tests/http/test_transport.py"),
    ),
    Mutation(
        "the bucket spaces requests",
        "http/rate_limit",
        "self._bucket = None if rate is None else AsyncLimiter(1, self._spacing)",
        "self._bucket = None",
        ("tests/http/test_rate_limit.py",),
    ),
    Mutation(
        "a 429 delays every caller",
        "http/rate_limit",
        "self._paused_until = max(self._paused_until, clock.monotonic() + seconds)",
        "self._paused_until = self._paused_until",
        ("tests/http/test_rate_limit.py",),
    ),
    Mutation(
        "the token is in no error",
        "http/transport",
        'return text.replace(token.encode(), b"***") if len(token) >= 8 else text',
        "return text",
        ("tests/http/test_transport.py", "tests/test_security.py"),
    ),
    Mutation(
        "no redirect is followed",
        "http/exchange",
        "allow_redirects=False",
        "allow_redirects=True",
        ("tests/http/test_transport.py", "tests/test_security.py"),
    ),
    Mutation(
        "a malformed session affects no other",
        "wire/pages",
        "entries=tuple(session(bytes(raw), keep_raw=keep_raw) for raw in loose.data or ()),",
        "entries=(),",
        ("tests/wire/test_pages.py",),
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
        "an expired cursor is not sent again",
        "feed/reader",
        "        if cursor == self._dead_cursor:\n",
        "        if cursor is self:\n",
        ("tests/feed/test_cursor_expiry.py",),
    ),
    Mutation(
        "a second consumer of the same name is stopped",
        "progress/checkpointer",
        "            if found is None or not ours or found.revision != self._revision + 1:",
        "            if found is None:",
        ("tests/consumer/test_consume.py", "tests/sessions/test_stream.py"),
    ),
)


def source(mutation: Mutation, root: Path = ROOT) -> Path:
    """Return the file that a mutation changes."""
    return root / "coachstream" / f"{mutation.module}.py"


def caught_by(mutation: Mutation) -> str | None:
    """Apply a mutation to a copy; return the first test that failed, or None."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "copy"
        unwanted = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, copy, ignore=unwanted)
        path = source(mutation, copy)
        text = path.read_text()
        assert text.count(mutation.old) == 1, f"{mutation.module}: {mutation.old!r}"
        path.write_text(text.replace(mutation.old, mutation.new))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", *mutation.tests]
        environment = {**os.environ, "COACHSTREAM_HISTORIES": "50", "COACHSTREAM_KILLS": "3"}
        try:
            ran = subprocess.run(
                [*command, "-m", "not service", "-p", "no:cacheprovider"],
                cwd=copy,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "hung"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", ran.stdout, re.MULTILINE)
    assert failed or not ran.returncode, ran.stdout + ran.stderr
    return failed[1] if failed else None


def main(words: list[str]) -> int:
    """Run all mutations, or those whose promise contains a word; return the exit status."""
    chosen = [one for one in MUTATIONS if not words or any(word in one.promise for word in words)]
    missed = 0
    for mutation in chosen:
        test = caught_by(mutation)
        missed += test is None
        verdict = f"caught by {test}" if test else "NOT CAUGHT"
        sys.stdout.write(f"{mutation.module:<18} {mutation.promise:<62} {verdict}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - missed} of {len(chosen)} caught\n")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

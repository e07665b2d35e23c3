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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.breaks import (
    assignments,
    checkpoints,
    cli,
    consumer,
    emulator,
    feed,
    http,
    progress,
    sessions,
    tasks,
    top,
    wire,
)
from tests.breaks.mutation import Mutation

ROOT = Path(__file__).parents[1]
AT_ONCE = os.cpu_count()
"""How many mutations are tested at once."""
LONGEST = 600.0
"""The time limit, in seconds, for the tests of one mutation."""

MUTATIONS = (
    *assignments.MUTATIONS,
    *checkpoints.MUTATIONS,
    *cli.MUTATIONS,
    *consumer.MUTATIONS,
    *emulator.MUTATIONS,
    *feed.MUTATIONS,
    *http.MUTATIONS,
    *progress.MUTATIONS,
    *top.MUTATIONS,
    *sessions.MUTATIONS,
    *tasks.MUTATIONS,
    *wire.MUTATIONS,
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
        try:
            ran = run_tests(mutation.selected, copy)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"{mutation.promise}: its tests hang\n")
            return None
    # A module that can't be imported is an error without the name of a test, and catches nothing.
    failed = re.search(r"^(?:FAILED|ERROR) (\S+::\S+)", ran.stdout, re.MULTILINE)
    if ran.returncode and not failed:
        sys.stderr.write(f"{mutation.promise}:\n{ran.stdout}{ran.stderr}")
    return failed[1] if failed else None


def run_tests(tests: tuple[str, ...], root: Path) -> subprocess.CompletedProcess[str]:
    """Run tests of the tree at ``root``, which their own processes import, too."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", *tests]
    return subprocess.run(
        [*command, "-m", "not service", "-p", "no:cacheprovider"],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": str(root),
            "COACHSTREAM_HISTORIES": "50",
            "COACHSTREAM_KILLS": "3",
        },
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


def main(words: list[str]) -> int:
    """Run all mutations, or those whose promise contains a word; return the exit status."""
    chosen = [one for one in MUTATIONS if not words or any(word in one.promise for word in words)]
    if not chosen:
        sys.stderr.write("no promise contains any of these words; the promises are:\n")
        sys.stderr.writelines(f"  {mutation.promise}\n" for mutation in MUTATIONS)
        return 2
    missed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutation, test in zip(chosen, pool.map(caught_by, chosen), strict=True):
            missed += test is None
            verdict = f"caught by {test}" if test else "NOT CAUGHT"
            sys.stdout.write(f"{mutation.module:<18} {mutation.promise:<62} {verdict}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - missed} of {len(chosen)} caught\n")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

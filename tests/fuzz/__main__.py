"""Long runs: ``python -m tests.fuzz --minutes 10 [--target wire|checkpoint] [--seed N]``.

An input that breaks a promise is saved in the corpus, where every ordinary test run meets it again;
``--replay FILE`` runs one alone. Inputs whose outcome is new join the pool that mutations begin
with, so a long run goes deeper than many short ones.
"""

import argparse
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

from coachstream import SystemClock
from tests.fuzz.mutator import Mutator
from tests.fuzz.targets import TARGETS, keep, seeds

SLOWEST = 5.0
"""Seconds one small input may take at the most; far more than it should, on a busy machine."""
_REPORT = 50_000
_LARGEST_POOL = 5_000


def main(words: list[str]) -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long, for each target")
    parser.add_argument("--target", choices=list(TARGETS), help="by default each in turn")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other inputs")
    parser.add_argument("--replay", type=Path, help="run this one input, and nothing else")
    asked = parser.parse_args(words)
    if asked.replay:
        target = asked.target or asked.replay.resolve().parent.name
        say(TARGETS[target](asked.replay.read_bytes()))
        return 0
    chosen = [asked.target] if asked.target else list(TARGETS)
    return max(run(target, minutes=asked.minutes, seed=asked.seed) for target in chosen)


def run(target: str, *, minutes: float, seed: int) -> int:
    """Try inputs for so long; return 1 if one broke a promise."""
    mutator = Mutator(seeds(target), Random(f"{target} {seed}"))
    check, clock = TARGETS[target], SystemClock()
    outcomes: set[str] = set()
    cases, began = 0, clock.monotonic()
    end = began + 60 * minutes
    while (now := clock.monotonic()) < end:
        data = mutator.draw()
        cases += 1
        try:
            outcome = check(data)
            assert clock.monotonic() - now < SLOWEST, "too slow"
        except Exception:  # noqa: BLE001  # any exception at all is what is looked for
            return _found(target, data, cases, check)
        if outcome not in outcomes and len(mutator.pool) < _LARGEST_POOL:
            outcomes.add(outcome)
            mutator.pool.append(data)
        if cases % _REPORT == 0:
            say(f"{target}: {cases} cases, {len(outcomes)} outcomes")
    say(f"{target}: {cases} cases in {now - began:.0f} s, {len(outcomes)} outcomes, seed {seed}")
    return 0


def _found(target: str, data: bytes, cases: int, check: Callable[[bytes], str]) -> int:
    traceback.print_exc()
    path = keep(target, _shortened(data, check))
    say(f"{target}: case {cases} breaks a promise; again with")
    say(f"  python -m tests.fuzz --replay {path.relative_to(Path.cwd())}")
    return 1


def _shortened(data: bytes, check: Callable[[bytes], str]) -> bytes:
    """Return as little of the data as still breaks something."""
    size = len(data) // 2
    while size:
        for start in range(0, len(data), size):
            less = data[:start] + data[start + size :]
            try:
                check(less)
            except Exception:  # noqa: BLE001  # broken still
                data = less
                break
        else:
            size //= 2
    return data


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

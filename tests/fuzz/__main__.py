"""Long runs: ``python -m tests.fuzz --minutes 10 [--target wire|checkpoint] [--seed N]``.

An input that breaks a promise is saved in the corpus, which every test run checks again;
``--replay FILE`` runs one input alone. Inputs with a new outcome are added to the pool of inputs to
mutate, so a long run goes deeper than many short ones.
"""

import argparse
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

from coachstream import SystemClock
from tests.fuzz.mutator import Mutator
from tests.fuzz.targets import TARGETS, save, seeds

SLOWEST = 5.0
"""The most seconds for one small input, far more than it needs even on a busy machine."""
_REPORT = 50_000
_LARGEST_POOL = 5_000


def main(words: list[str]) -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=1.0, help="duration per target")
    parser.add_argument("--target", choices=list(TARGETS), help="by default all, one after another")
    parser.add_argument("--seed", type=int, default=0, help="seed of the inputs")
    parser.add_argument("--replay", type=Path, help="run only this input")
    args = parser.parse_args(words)
    if args.replay:
        target = args.target or args.replay.resolve().parent.name
        print_now(TARGETS[target](args.replay.read_bytes()))
        return 0
    chosen = [args.target] if args.target else list(TARGETS)
    return max(run(target, minutes=args.minutes, seed=args.seed) for target in chosen)


def run(target: str, *, minutes: float, seed: int) -> int:
    """Try inputs for some minutes; return 1 if one breaks a promise."""
    mutator = Mutator(seeds(target), Random(f"{target} {seed}"))
    check, clock = TARGETS[target], SystemClock()
    outcomes: set[str] = set()
    cases, started = 0, clock.monotonic()
    end = started + 60 * minutes
    while (now := clock.monotonic()) < end:
        data = mutator.draw()
        cases += 1
        try:
            outcome = check(data)
            assert clock.monotonic() - now < SLOWEST, "too slow"
        except Exception:  # noqa: BLE001  # any exception is a failure
            return _save_failure(target, data, cases, check)
        if outcome not in outcomes and len(mutator.pool) < _LARGEST_POOL:
            outcomes.add(outcome)
            mutator.pool.append(data)
        if cases % _REPORT == 0:
            print_now(f"{target}: {cases} cases, {len(outcomes)} outcomes")
    print_now(
        f"{target}: {cases} cases in {now - started:.0f} s, {len(outcomes)} outcomes, seed {seed}"
    )
    return 0


def _save_failure(target: str, data: bytes, cases: int, check: Callable[[bytes], str]) -> int:
    traceback.print_exc()
    path = save(target, _shortened(data, check))
    print_now(f"{target}: case {cases} breaks a promise; repeat it with")
    print_now(f"  python -m tests.fuzz --replay {path.relative_to(Path.cwd())}")
    return 1


def _shortened(data: bytes, check: Callable[[bytes], str]) -> bytes:
    """Return the shortest part found that still fails."""
    size = len(data) // 2
    while size:
        for start in range(0, len(data), size):
            less = data[:start] + data[start + size :]
            try:
                check(less)
            except Exception:  # noqa: BLE001  # still fails
                data = less
                break
        else:
            size //= 2
    return data


def print_now(line: str) -> None:
    """Print a line and flush it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

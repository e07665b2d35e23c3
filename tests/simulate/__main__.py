"""Many runs: ``python -m tests.simulate --seeds 10000 [--first N] [--seed N] [--minutes M]``."""

import argparse
import gc
import logging
import sys

from coachstream import SystemClock
from tests.simulate.journal import TRACE_LENGTH
from tests.simulate.run import simulate
from tests.simulate.summary import Summary, describe


def main(words: list[str]) -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate")
    parser.add_argument("--seeds", type=int, default=1000, help="how many runs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="run this seed alone, and print its trace")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument(
        "--trace", type=int, default=TRACE_LENGTH, help="last events to print for a failed run"
    )
    args = parser.parse_args(words)
    logging.disable()  # observers fail on purpose, which is logged
    gc.freeze()  # each run collects garbage, and need not traverse what imports have made
    clock, summary = SystemClock(), Summary()
    end = clock.monotonic() + 60 * args.minutes
    seeds = range(args.first, args.first + args.seeds) if args.seed is None else [args.seed]
    for seed in seeds:
        outcome = simulate(seed, args.trace)
        summary.add(outcome)
        if outcome.violations or args.seed is not None:
            print_now(describe(outcome))
        if summary.seeds % 500 == 0:
            print_now(f"{summary.seeds} seeds, {summary.violations} violations")
        if clock.monotonic() > end:
            break
    print_now(str(summary))
    return int(summary.violations > 0)


def print_now(text: str) -> None:
    """Print the text and flush it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Many runs: ``python -m tests.simulate --seeds 10000 [--first N] [--seed N] [--minutes M]``."""

import argparse
import logging
import sys

from coachstream import SystemClock
from tests.simulate.journal import LAST
from tests.simulate.run import simulate
from tests.simulate.tally import Tally, told


def main(words: list[str]) -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate")
    parser.add_argument("--seeds", type=int, default=1000, help="how many runs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this one alone, with all that is known of it")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no more than so many")
    parser.add_argument("--trace", type=int, default=LAST, help="events told of a broken run")
    asked = parser.parse_args(words)
    logging.disable()  # observers fail on purpose, and that is logged
    clock, tally = SystemClock(), Tally()
    end = clock.monotonic() + 60 * asked.minutes
    seeds = range(asked.first, asked.first + asked.seeds) if asked.seed is None else [asked.seed]
    for seed in seeds:
        outcome = simulate(seed, asked.trace)
        tally.add(outcome)
        if outcome.violations or asked.seed is not None:
            say(told(outcome))
        if tally.seeds % 500 == 0:
            say(f"{tally.seeds} seeds, {tally.violations} violations")
        if clock.monotonic() > end:
            break
    say(str(tally))
    return int(tally.violations > 0)


def say(text: str) -> None:
    """Print it at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

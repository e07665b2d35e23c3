"""Long runs: ``python -m tests.soak --minutes 10`` under load, ``--weeks 4`` of virtual time."""

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from tests.soak.load import soak
from tests.soak.weeks import weeks


def main(words: list[str]) -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=0.0, help="real time, under load")
    parser.add_argument("--weeks", type=float, default=0.0, help="virtual time")
    args = parser.parse_args(words)
    logging.disable()  # a log line per request would distort the figures
    flat = True
    if args.minutes:
        with tempfile.TemporaryDirectory() as directory:
            result = asyncio.run(
                soak(seconds=60 * args.minutes, every=5.0, directory=Path(directory))
            )
        print_now(f"{args.minutes:g} minutes under load", result)
        flat &= result.flat
    if args.weeks:
        result = weeks(args.weeks)
        print_now(f"{args.weeks:g} weeks of virtual time", result)
        flat &= result.flat
    return int(not flat)


def print_now(title: str, what: object) -> None:
    """Print figures and flush them."""
    sys.stdout.write(f"{title}\n{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

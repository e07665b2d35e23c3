"""Long runs: ``python -m tests.soak --minutes 10`` at load, ``--weeks 4`` of virtual time."""

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
    parser.add_argument("--minutes", type=float, default=0.0, help="at load, in real time")
    parser.add_argument("--weeks", type=float, default=0.0, help="in virtual time")
    asked = parser.parse_args(words)
    logging.disable()  # a line for each request would be what is measured
    flat = True
    if asked.minutes:
        with tempfile.TemporaryDirectory() as place:
            soaked = asyncio.run(soak(seconds=60 * asked.minutes, every=5.0, place=Path(place)))
        say(f"{asked.minutes:g} minutes at load", soaked)
        flat &= soaked.flat
    if asked.weeks:
        soaked = weeks(asked.weeks)
        say(f"{asked.weeks:g} weeks of virtual time", soaked)
        flat &= soaked.flat
    return int(not flat)


def say(title: str, what: object) -> None:
    """Print figures at once."""
    sys.stdout.write(f"{title}\n{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

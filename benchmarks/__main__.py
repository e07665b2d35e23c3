"""The command line: ``python -m benchmarks [NAME ...] [--short | --full] [--json]``."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping

import msgspec

from . import consuming, importing, streaming
from .figure import Figure, Size
from .machine import this_machine
from .report import heading, line

BENCHMARKS: Mapping[str, Callable[[Size], Iterator[Figure]]] = {
    "streaming": streaming.run,
    "consuming": consuming.run,
    "importing": importing.run,
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("benchmarks", description="Measure coachstream.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--short", action="store_true", help="a moment each, to see that they run")
    sizes.add_argument("--full", action="store_true", help="up to ten million sessions")
    given = parser.parse_args()
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    return given


def main() -> None:
    """Run what is asked for, and tell each figure as soon as it is known."""
    given = arguments()
    size = Size.SHORT if given.short else Size.FULL if given.full else Size.USUAL
    machine = this_machine()
    results: dict[str, list[Figure]] = {}
    show = (lambda _text: None) if given.json else print
    show(heading(machine))
    for name in given.names or BENCHMARKS:
        show(f"\n{name}")
        results[name] = []
        for figure in BENCHMARKS[name](size):
            results[name].append(figure)
            show(line(figure))
    if given.json:
        document = {"machine": machine, "size": size, "benchmarks": results}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document)).decode() + "\n")


if __name__ == "__main__":
    main()

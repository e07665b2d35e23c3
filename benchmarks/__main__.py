"""The command line: ``python -m benchmarks [NAME ...] [--short | --full] [--json]``."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import msgspec

from . import backfilling, consuming, freshness, importing, many, memory, scaling, streaming, year
from .figure import Figure, Size
from .machine import this_machine
from .report import heading, line

Benchmark = Callable[[Size], Iterator[Figure]]

BENCHMARKS: Mapping[str, Benchmark] = {
    "streaming": streaming.run,
    "consuming": consuming.run,
    "backfilling": backfilling.run,
    "freshness": freshness.run,
    "memory": memory.run,
    "many": many.run,
    "importing": importing.run,
    "scaling": scaling.run,
    "year": year.run,
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("benchmarks", description="Measure coachstream.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="plot the results of year")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        "--short", action="store_true", help="a few seconds each, to check that they run"
    )
    sizes.add_argument("--full", action="store_true", help="up to ten million sessions")
    given = parser.parse_args()
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    return given


def main() -> None:
    """Run the chosen benchmarks; print each figure as soon as it is measured."""
    given = arguments()
    size = Size.SHORT if given.short else Size.FULL if given.full else Size.USUAL
    machine = this_machine()
    results: dict[str, list[Figure]] = {}
    show = (lambda _text: None) if given.json else print
    show(heading(machine))
    benchmarks: dict[str, Benchmark] = {**BENCHMARKS, "year": partial(year.run, plot=given.plot)}
    for name in given.names or benchmarks:
        show(f"\n{name}")
        results[name] = []
        for figure in benchmarks[name](size):
            results[name].append(figure)
            show(line(figure))
    if given.json:
        document = {"machine": machine, "size": size, "benchmarks": results}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document)).decode() + "\n")


if __name__ == "__main__":
    main()

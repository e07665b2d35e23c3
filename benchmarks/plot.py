"""The picture of a year: hours by latency, one line for each reader."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw(
    path: Path,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    least: float,
    caption: str,
) -> None:
    """Draw hours (up) by seconds of latency (across), both logarithmic.

    Args:
        path: Where to write; its suffix chooses the format, such as ``.svg`` or ``.png``.
        curves: For each reader, its latencies and hours.
        least: The hours that the rate limit alone takes.
        caption: How the figures came about.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for reader, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=reader)
    axes.axhline(least, color="grey", linestyle=":", label="the limit")
    axes.set(xscale="log", yscale="log", xlabel="seconds an answer takes", ylabel="hours")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(ScalarFormatter())
    axes.set_title("A year of coaching sessions, read at 5 requests per second")
    axes.legend()
    figure.supxlabel(caption, fontsize="x-small")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)

"""The picture of a year: minutes by latency, one line for each reader."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw(
    path: Path,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    least: float,
    caption: str,
) -> None:
    """Draw minutes (up) by seconds of latency (across), both logarithmic.

    Args:
        path: Where to write; its suffix chooses the format, such as ``.svg`` or ``.png``.
        curves: For each reader, its latencies and minutes.
        least: The minutes that the rate limit alone takes.
        caption: How the figures came about.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for reader, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=reader)
    axes.axhline(least, color="grey", linestyle=":", label="the limit")
    axes.set(xscale="log", yscale="log", xlabel="seconds an answer takes", ylabel="minutes")
    axes.set_xticks(sorted({latency for points in curves.values() for latency, _ in points}))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())
    axes.set_title("A year of coaching sessions, read at 5 requests per second")
    axes.legend()
    figure.supxlabel(caption, fontsize="x-small")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)

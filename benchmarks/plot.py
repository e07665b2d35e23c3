"""The plot of `year`: minutes by latency, one line per reader."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw(
    path: Path,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    least: float,
    caption: str,
) -> None:
    """Plot minutes (y) by seconds of latency (x), both logarithmic.

    Args:
        path: The file to write; its suffix selects the format, such as ``.svg`` or ``.png``.
        curves: The latencies and minutes of each reader.
        least: The minutes that the rate limit alone takes.
        caption: How the figures were measured.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for reader, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=reader)
    axes.axhline(least, color="grey", linestyle=":", label="the limit")
    axes.set(xscale="log", yscale="log", xlabel="latency in seconds", ylabel="minutes")
    axes.set_xticks(sorted({latency for points in curves.values() for latency, _ in points}))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())
    axes.set_title("A year of coaching sessions, read at 5 requests per second")
    axes.legend()
    figure.supxlabel(caption, fontsize="x-small")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)

"""Results as text: one line per figure."""

from .figure import Figure, Spread
from .machine import Machine


def heading(machine: Machine) -> str:
    """Return a description of the machine and the packages."""
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    load = "" if machine.load is None else f", load {machine.load}"
    return (
        f"{machine.processor}, {machine.cores} cores{load}; {machine.system}; {machine.python}\n"
        f"{packages}\n"
        f"median (lowest to highest) of the rounds; {machine.at:%Y-%m-%d %H:%M} UTC"
    )


def line(figure: Figure) -> str:
    """Return a figure as one line of text."""
    if figure.ours is None:
        rival = f", compared with {figure.rival}" if figure.rival else ""
        return f"  {figure.what}{rival}: {figure.note}"
    text = f"  {figure.what}: {_spread(figure.ours)} {figure.unit}"
    if figure.theirs and figure.ratio:
        text += f"; {figure.rival} {_spread(figure.theirs)}; ratio {_spread(figure.ratio)}"
    if figure.met is not None:
        text += f" [{_target(figure)}: {'met' if figure.met else 'MISSED'}]"
    return text + (f" ({figure.note})" if figure.note else "")


def _target(figure: Figure) -> str:
    bounds = [
        f"{word} {_number(bound)}"
        for word, bound in (("at least", figure.least), ("at most", figure.most))
        if bound is not None
    ]
    return ", ".join(bounds)


def _spread(spread: Spread) -> str:
    if spread.low == spread.high:
        return _number(spread.median)
    return f"{_number(spread.median)} ({_number(spread.low)} to {_number(spread.high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

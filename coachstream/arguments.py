"""Checks of what is passed in: a clear error that names the argument, at the call."""

import inspect
from collections.abc import Sequence
from datetime import timedelta

from .errors import InvalidArgumentError


def seconds(argument: str, value: float | timedelta) -> float:
    """Return a duration given at the front door as seconds.

    Raises:
        InvalidArgumentError: it is not a positive, finite number of seconds or ``timedelta``.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgumentError(argument, f"needs seconds or a timedelta, not {value!r}")
    if not 0 < value < float("inf"):
        raise InvalidArgumentError(argument, f"needs a positive duration, not {value}")
    return float(value)


def flag(argument: str, value: bool) -> bool:
    """Return ``value``, refusing what is merely true or false in spirit, such as ``"false"``.

    Raises:
        InvalidArgumentError: it is neither True nor False.
    """
    if not isinstance(value, bool):
        raise InvalidArgumentError(argument, f"needs True or False, not {value!r}")
    return value


def at_least_one(argument: str, value: int) -> int:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is below 1.
    """
    if value < 1:
        raise InvalidArgumentError(argument, f"needs at least 1, not {value}")
    return value


def one_of(argument: str, value: str, choices: Sequence[str]) -> str:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is none of the choices.
    """
    if value not in choices:
        raise InvalidArgumentError(argument, f"{value!r} is none of {', '.join(choices)}")
    return value


def async_function(argument: str, value: object) -> None:
    """Check that calling ``value`` gives something to await.

    Raises:
        InvalidArgumentError: it does not, as far as can be seen.
    """
    # An object may be async by its class's __call__.
    call = getattr(type(value), "__call__", None)  # noqa: B004  # not to ask whether it is callable
    if not (inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(call)):
        raise InvalidArgumentError(argument, "needs an async function")

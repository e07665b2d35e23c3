"""Checks of what is passed in: a clear error that names the argument, at the call."""

import inspect
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

from .errors import InvalidArgumentError

T = TypeVar("T")


def positive(argument: str, value: float) -> float:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is not a positive, finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgumentError(argument, f"needs a number, not {value!r}")
    if not 0 < value < float("inf"):
        raise InvalidArgumentError(argument, f"needs a number above 0, not {value}")
    return float(value)


def seconds(argument: str, value: float | timedelta) -> float:
    """Return a duration given at the front door as seconds.

    Raises:
        InvalidArgumentError: it is not a positive, finite number of seconds or ``timedelta``.
    """
    return positive(argument, value.total_seconds() if isinstance(value, timedelta) else value)


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
        InvalidArgumentError: it is below 1, or not whole.
    """
    if type(value) is not int or value < 1:
        raise InvalidArgumentError(argument, f"needs a whole number from 1 up, not {value!r}")
    return value


def one_of(argument: str, value: str, choices: Sequence[str]) -> str:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is none of the choices.
    """
    if value not in choices:
        raise InvalidArgumentError(argument, f"{value!r} is none of {', '.join(choices)}")
    return value


def instance_of(argument: str, value: T, kind: type[T]) -> T:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is of another kind.
    """
    if not isinstance(value, kind):
        raise InvalidArgumentError(argument, f"needs a {kind.__name__}, not {value!r}")
    return value


def share(argument: str, value: float) -> float:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is not a number from 0 to 1.
    """
    if not isinstance(value, int | float):
        raise InvalidArgumentError(argument, f"needs a number, not {value!r}")
    if not 0 <= value <= 1:
        raise InvalidArgumentError(argument, f"needs a share from 0 to 1, not {value!r}")
    return value


def plain_function(argument: str, value: object) -> None:
    """Check that ``value`` can be called, and its result used without awaiting it.

    Raises:
        InvalidArgumentError: it can't, as far as can be seen.
    """
    if not callable(value) or inspect.iscoroutinefunction(value):
        raise InvalidArgumentError(argument, "needs a plain function, not an async one")


def async_function(argument: str, value: object) -> None:
    """Check that calling ``value`` gives something to await.

    Raises:
        InvalidArgumentError: it does not, as far as can be seen.
    """
    # An object may be async by its class's __call__.
    call = getattr(type(value), "__call__", None)  # noqa: B004  # not to ask whether it is callable
    if not (inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(call)):
        raise InvalidArgumentError(argument, "needs an async function")

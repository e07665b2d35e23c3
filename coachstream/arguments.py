"""Checks of arguments: a bad one raises at the call, with an error that names it."""

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
    """Return a duration in seconds.

    Raises:
        InvalidArgumentError: it is not a positive, finite number of seconds or ``timedelta``.
    """
    return positive(argument, value.total_seconds() if isinstance(value, timedelta) else value)


def flag(argument: str, value: bool) -> bool:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is neither True nor False; ``"false"`` and ``0`` are refused.
    """
    if not isinstance(value, bool):
        raise InvalidArgumentError(argument, f"needs True or False, not {value!r}")
    return value


def at_least_one(argument: str, value: int) -> int:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is below 1, or not an integer.
    """
    if type(value) is not int or value < 1:
        raise InvalidArgumentError(argument, f"needs an integer of at least 1, not {value!r}")
    return value


def one_of(argument: str, value: str, choices: Sequence[str]) -> str:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is not one of the choices.
    """
    if value not in choices:
        raise InvalidArgumentError(argument, f"{value!r} is not one of {', '.join(choices)}")
    return value


def instance_of(argument: str, value: T, kind: type[T]) -> T:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is not an instance of ``kind``.
    """
    if not isinstance(value, kind):
        raise InvalidArgumentError(argument, f"needs a {kind.__name__}, not {value!r}")
    return value


def fraction(argument: str, value: float) -> float:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is not a number from 0 to 1.
    """
    if not isinstance(value, int | float):
        raise InvalidArgumentError(argument, f"needs a number, not {value!r}")
    if not 0 <= value <= 1:
        raise InvalidArgumentError(argument, f"needs a number from 0 to 1, not {value!r}")
    return value


def sync_function(argument: str, value: object) -> None:
    """Check that ``value`` is callable and not async.

    Raises:
        InvalidArgumentError: it is not callable, or it is an ``async def`` function.
    """
    if not callable(value) or inspect.iscoroutinefunction(value):
        raise InvalidArgumentError(argument, "needs a plain function, not an async one")


def async_function(argument: str, value: object) -> None:
    """Check that ``value`` is an async function.

    Raises:
        InvalidArgumentError: neither it nor its class's ``__call__`` is an ``async def`` function.
    """
    call = getattr(type(value), "__call__", None)  # noqa: B004  # not a test for being callable
    if not (inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(call)):
        raise InvalidArgumentError(argument, "needs an async function")

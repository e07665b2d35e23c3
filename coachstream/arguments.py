"""Checks of arguments: a bad one raises at the call, with an error that names it."""

import functools
import inspect
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

from .errors import InvalidArgumentError

P = ParamSpec("P")
T = TypeVar("T")


def positive(argument: str, value: float) -> float:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is not a positive, finite number.
    """
    if not 0 < (number := _number(argument, value)) < math.inf:
        raise InvalidArgumentError(argument, f"needs a number above 0, not {value!r}")
    return number


def seconds(argument: str, value: float | timedelta) -> float:
    """Return a duration in seconds.

    Raises:
        InvalidArgumentError: it is not a positive, finite number of seconds or ``timedelta``.
    """
    return positive(argument, value.total_seconds() if isinstance(value, timedelta) else value)


def zero_or_seconds(argument: str, value: float | timedelta) -> float:
    """Return a duration in seconds, which may be 0.

    Raises:
        InvalidArgumentError: it is negative, not finite, or no duration.
    """
    duration = value.total_seconds() if isinstance(value, timedelta) else value
    return 0.0 if _number(argument, duration) == 0 else positive(argument, duration)


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


def instance_or_new(argument: str, value: T | None, kind: type[T]) -> T:
    """Return ``value``; None: a new instance of ``kind``.

    Raises:
        InvalidArgumentError: it is not an instance of ``kind``.
    """
    return kind() if value is None else instance_of(argument, value, kind)


def fraction(argument: str, value: float) -> float:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it is not a number from 0 to 1.
    """
    if not 0 <= (number := _number(argument, value)) <= 1:
        raise InvalidArgumentError(argument, f"needs a number from 0 to 1, not {value!r}")
    return number


def instance_with(argument: str, value: T, *methods: str) -> T:
    """Return ``value``.

    Raises:
        InvalidArgumentError: it lacks one of the methods, or is a class that has them.
    """
    for method in methods:
        if isinstance(value, type) or not callable(getattr(value, method, None)):
            raise InvalidArgumentError(
                argument, f"needs an object with {', '.join(methods)}, not {value!r}"
            )
    return value


def sync_function(argument: str, value: object) -> None:
    """Check that ``value`` is callable and not async.

    Raises:
        InvalidArgumentError: it is not callable, or calling it would only make a coroutine.
    """
    is_async = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    if not callable(value) or any(_is_function(kind, value) for kind in is_async):
        raise InvalidArgumentError(argument, "needs a plain function, not an async one")


class NotAsyncError(InvalidArgumentError):
    """What was given as an async function proved to be none when it was called."""


def async_function(
    argument: str, value: Callable[P, Awaitable[T]]
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return ``value`` as an async function: whatever returns an awaitable is one.

    What an ordinary function returns can't be told before it is called. So a lambda, a decorated
    function or the like is checked then, and raises `NotAsyncError` if that can't be awaited.

    Raises:
        InvalidArgumentError: it can't be called, or never returns an awaitable.
    """
    if _is_function(inspect.iscoroutinefunction, value):
        return value  # type: ignore[return-value]  # as has just been checked
    if _is_never_async(value):
        raise InvalidArgumentError(argument, "needs an async function")

    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        result: object = value(*args, **kwargs)
        if inspect.isawaitable(result):
            return await result  # type: ignore[no-any-return]  # what it returns is said above
        kind = type(result).__name__
        raise NotAsyncError(argument, f"needs an async function, and this one returned {kind}")

    return call


def _is_never_async(value: object) -> bool:
    """Return whether it can't be called, or makes objects or async generators, not awaitables."""
    if isinstance(value, type):
        return not hasattr(value, "__await__")
    return not callable(value) or _is_function(inspect.isasyncgenfunction, value)


def _number(argument: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgumentError(argument, f"needs a number, not {value!r}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _is_function(is_kind: Callable[[object], bool], value: object) -> bool:
    """Return whether ``value``, or what it calls, is a function of this kind."""
    while isinstance(value, functools.partial):
        value = value.func
    call = getattr(type(value), "__call__", None)  # noqa: B004  # not a test for being callable
    return is_kind(value) or is_kind(call)

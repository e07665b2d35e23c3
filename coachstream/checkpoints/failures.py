"""Failures of stores, as errors that name the store and say what to do."""

import errno

from ..errors import StoreError, StoreRefusedError
from ..text import printable

BUGS = (
    AssertionError,
    AttributeError,
    ImportError,
    NameError,
    NotImplementedError,
    TypeError,
)
"""What only wrong code raises. It is raised as it is."""

Advice = tuple[type[StoreError], str]
"""Whether waiting may help, and what to do."""


def advice_on(error: Exception) -> Advice:
    """Return the advice on an error of the system, or of an unknown storage."""
    if isinstance(error, FileNotFoundError):
        return StoreRefusedError, "Create the directory, or check the path"
    if isinstance(error, IsADirectoryError | NotADirectoryError):
        return StoreRefusedError, "Check the path"
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, PermissionError) or number == errno.EROFS:
        return StoreRefusedError, "Let this process write there"
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return StoreError, "Free some space"
    return StoreError, "Check its storage"


def store_error(store: str, doing: str, error: Exception, advice: Advice) -> StoreError:
    """Return what to raise from an error of a driver.

    Args:
        store: The store's repr.
        doing: What failed, such as "saving 'payroll'".
        error: What its driver raised.
        advice: What to do about it.
    """
    kind, text = advice
    problem = printable(str(error)).rstrip(".") or type(error).__name__
    return kind(f"{store}: {doing} failed ({problem}). {text}.")


def is_any(error: Exception, *kinds: str) -> bool:
    """Return whether the error is of one of these classes, named without an import of a driver."""
    return any(kind.__name__ in kinds for kind in type(error).__mro__)

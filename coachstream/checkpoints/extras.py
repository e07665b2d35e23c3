"""Drivers that come with an extra of this library."""

from importlib.util import find_spec

from ..errors import InvalidArgumentError


def require(driver: str, *, extra: str) -> None:
    """Make sure that a driver can be imported, which is left until it is used.

    Raises:
        InvalidArgumentError: it is not installed; the message says how to.
    """
    if find_spec(driver) is None:
        raise InvalidArgumentError(
            "store", f"{driver} is not installed: pip install 'coachstream[{extra}]'"
        )

"""Driver libraries, which are extras of this package, and the URLs of their servers."""

from importlib.util import find_spec
from urllib.parse import urlsplit

from ..errors import InvalidArgumentError


def require(driver: str, *, extra: str) -> None:
    """Check that a driver is installed, without importing it.

    Raises:
        InvalidArgumentError: the driver is not installed; the message says how to install it.
    """
    if find_spec(driver) is None:
        raise InvalidArgumentError(
            "store", f"{driver} is not installed: pip install 'coachstream[{extra}]'"
        )


def unreadable_url() -> InvalidArgumentError:
    """Return the error for a URL that a driver can't read, without what the driver says of it.

    A driver may take part of a password for a port, and show it.
    """
    return InvalidArgumentError(
        "store", "its URL can't be read: percent-encode the password, and check the other parts"
    )


def without_secrets(url: str) -> str:
    """Return the scheme, host, port and path of a URL; if it is ambiguous, only the scheme.

    Otherwise part of a password with an unquoted ``/`` or ``?`` would be shown as a path.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "..."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return f"{scheme}://..."
    if not host or "@" in rest.removeprefix(parts.netloc):
        return f"{scheme}://..."
    if ":" in host:
        host = f"[{host}]"
    return f"{scheme}://{host}{'' if port is None else f':{port}'}{parts.path}"

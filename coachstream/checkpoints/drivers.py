"""Driver libraries, each an extra of this library, and the URLs of their servers."""

from importlib.util import find_spec
from urllib.parse import urlsplit

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


def without_secrets(url: str) -> str:
    """Return scheme, host, port and path; of an odd URL the scheme alone.

    A password with an unquoted ``/`` or ``?`` in it would else be taken for something harmless.
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

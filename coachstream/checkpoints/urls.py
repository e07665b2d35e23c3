"""URLs, fit to be seen."""

from urllib.parse import urlsplit


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

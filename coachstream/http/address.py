"""Which server to send requests to."""

from ipaddress import ip_address

from yarl import URL

from ..arguments import one_of
from ..errors import InvalidArgumentError

REGIONS = {
    "us": "https://api.samsara.com",
    "eu": "https://api.eu.samsara.com",
    "ca": "https://api.ca.samsara.com",
}
"""The servers in Samsara's OpenAPI description."""


def server_url(*, region: str, base_url: str | None) -> URL:
    """Return the URL that paths are appended to.

    Raises:
        InvalidArgumentError: the region is unknown, or ``base_url`` is no HTTPS URL. Plain HTTP is
            for loopback only, because it shows the token to everyone on the way.
    """
    one_of("region", region, list(REGIONS))
    if base_url is None:
        return URL(REGIONS[region])
    if region != "us":
        raise InvalidArgumentError("base_url", "use either base_url or region")
    try:
        url = URL(base_url)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError("base_url", f"{base_url!r} is not a URL: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise InvalidArgumentError("base_url", f"{base_url!r} is not an http(s) URL")
    if url.user is not None or url.password is not None or url.query_string or url.fragment:
        raise InvalidArgumentError(
            "base_url", "needs scheme, host and path only: no user, password, query or fragment"
        )
    if url.scheme == "http" and not _is_loopback(url.host):
        raise InvalidArgumentError(
            "base_url",
            f"plain HTTP to {url.host} would show the token to others; it is for loopback only",
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

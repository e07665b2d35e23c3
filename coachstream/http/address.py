"""Which server to send requests to."""

from ipaddress import ip_address
from typing import Literal

from yarl import URL

from ..arguments import one_of
from ..errors import InvalidArgumentError

Region = Literal["us", "eu", "ca"]
"""Where an organisation's account is."""

REGIONS: dict[Region, str] = {
    "us": "https://api.samsara.com",
    "eu": "https://api.eu.samsara.com",
    "ca": "https://api.ca.samsara.com",
}
"""The servers in Samsara's OpenAPI description."""


VARIABLE = "SAMSARA_BASE_URL"
"""The environment variable that names another server."""


def server_url(
    *, region: Region, base_url: str | None, from_environment: str | None, allow_http: bool
) -> URL:
    """Return the URL that paths are appended to.

    ``base_url`` counts before ``from_environment``, the value of `VARIABLE`, and that before the
    region: a service that names its region can be run against an emulator unchanged.

    Raises:
        InvalidArgumentError: the region is unknown, or the URL is no HTTPS URL. Plain HTTP beyond
            this machine needs ``allow_http``, because it shows the token to everyone on the way.
    """
    one_of("region", region, list(REGIONS))
    if base_url is not None:
        if region != "us":
            raise InvalidArgumentError("base_url", "use either base_url or region")
        return _checked(base_url, allow_http=allow_http)
    if from_environment:
        try:
            return _checked(from_environment, allow_http=allow_http)
        except InvalidArgumentError as error:
            raise InvalidArgumentError("base_url", f"{VARIABLE}: {error.problem}") from None
    return URL(REGIONS[region])


def is_plain(url: URL) -> bool:
    """Return whether requests to it show the token to everyone between here and there."""
    return url.scheme == "http" and not _is_loopback(url.host or "")


def _checked(base_url: str, *, allow_http: bool) -> URL:
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
    if is_plain(url) and not allow_http:
        raise InvalidArgumentError(
            "base_url",
            f"plain HTTP would show the token to everyone between here and {url.host}; use https, "
            "or allow_http=True if you trust that network, such as one between containers",
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

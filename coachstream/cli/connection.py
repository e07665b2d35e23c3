"""How commands reach the server: through the environment's proxy, and with a company's CA."""

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.request import getproxies, proxy_bypass

import aiohttp
import anyio
from yarl import URL

from coachstream import Client, CoachStreamError, Event, Region, UntrustedCertificateError

from ..http.address import VARIABLE, server_url
from ..observers.logging import log_event
from ..telemetry import RetryScheduled, StreamEnded
from .running import RefusedError


@asynccontextmanager
async def connect(
    *,
    region: Region,
    base_url: str | None,
    allow_http: bool,
    api_version: str | None,
    ca_file: str | None,
) -> AsyncIterator[Client]:
    """Yield a client whose failures are reported once, and at once if waiting can't help.

    A stream asks again for ever when a certificate is not trusted, because somebody will mend
    that. Whoever runs a command is there to mend it.

    Raises:
        UntrustedCertificateError: the server's certificate, at the first refusal.
        RefusedError: the proxy or the file of the CA can't be used.
    """
    fatal: list[CoachStreamError] = []

    def observe(event: Event) -> None:
        if isinstance(event, RetryScheduled) and isinstance(event.error, UntrustedCertificateError):
            fatal.append(event.error)
            scope.cancel()
        elif not (isinstance(event, StreamEnded) and event.error):  # it is raised, too
            log_event(event)

    url = server_url(
        region=region,
        base_url=base_url,
        from_environment=os.environ.get(VARIABLE),
        allow_http=allow_http,
    )
    with anyio.CancelScope() as scope:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=trusting(ca_file)),
                proxy=proxy_for(url),
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as http,
            Client(
                region=region,
                base_url=base_url,
                allow_http=allow_http,
                api_version=api_version,
                http=http,
                observer=observe,
            ) as client,
        ):
            yield client
    if fatal:
        raise fatal[0]


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that trusts what the system trusts, and the authorities in the file."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise RefusedError(f"--ca-file: no certificates in {ca_file}: {error}") from None
    return context


def proxy_for(url: URL) -> str | None:
    """Return the proxy for the server, by the usual variables; None if there is none.

    Of the environment only the proxy is taken, and no credentials from a ``.netrc``. Plain HTTP
    never takes a proxy: it would show the token.
    """
    assert url.host is not None
    if url.scheme == "http" or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    found = proxies.get("https") or proxies.get("all")
    if not found:
        return None
    proxy = found if "://" in found else f"http://{found}"
    if (scheme := proxy.partition("://")[0].lower()) not in {"http", "https"}:
        raise RefusedError(f"HTTPS_PROXY: needs an http or https proxy, not one of {scheme}.")
    return proxy

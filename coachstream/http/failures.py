"""What aiohttp raises, as this library's errors."""

import re

import aiohttp

from ..errors import (
    AnswerTimeoutError,
    ConnectError,
    ConnectionLostError,
    TransportError,
    UntrustedCertificateError,
)
from ..text import printable

CA_VARIABLE = "SSL_CERT_FILE"
"""The environment variable that names a file of certificate authorities; OpenSSL reads it."""

NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)
"""What aiohttp raises when the network, or the other side, fails."""
_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Those of them for which no request was sent."""


def translated(error: Exception, timeout: float) -> TransportError:
    """Return our error for one of `NETWORK_ERRORS`, with nothing of what the other side sent."""
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return AnswerTimeoutError(f"no whole response within {timeout:g} s")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _untrusted(error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ConnectError(f"the proxy refused to connect: {error.status}")
    text = ": ".join(filter(None, (type(error).__name__, _own_words(error))))
    if isinstance(error, _NOT_CONNECTED):
        return ConnectError(text)
    return ConnectionLostError(text)


def _untrusted(error: aiohttp.ClientConnectorCertificateError) -> UntrustedCertificateError:
    cause = error.certificate_error
    why = getattr(cause, "verify_message", "") or str(cause)
    return UntrustedCertificateError(
        f"the certificate of {error.host} is not trusted: {printable(why.rstrip('.'))} (for a "
        f"certificate authority of your own, set {CA_VARIABLE})"
    )


_QUOTATION = re.compile(r"(?<!\w)b?['\"]|[<\n]|, message=")
"""Where aiohttp's own words end and those of the other side begin."""


def _own_words(error: Exception) -> str:
    """Return what is wrong, without what came: that may repeat the request, token and all."""
    if isinstance(error, OSError):
        return str(error)  # the system's own words
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    text = re.sub(r"^\d+, message:\s*", "", text)
    return printable(_QUOTATION.split(text, maxsplit=1)[0].rstrip(": "))

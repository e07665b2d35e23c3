"""Valid certificates, and some that must not be trusted."""

import ssl
from datetime import UTC, datetime
from functools import cache
from typing import Self

import trustme

_EXPIRED_AT = datetime(2021, 1, 1, tzinfo=UTC)


class Certificates:
    """A trusted authority with a valid certificate, and certificates that are invalid."""

    def __init__(self) -> None:
        ours, unknown = trustme.CA(), trustme.CA()
        here = ("localhost", "127.0.0.1")
        self._issued = {
            "good": ours.issue_cert(*here),
            "certificate_expired": ours.issue_cert(
                *here, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=_EXPIRED_AT
            ),
            "certificate_of_another_host": ours.issue_cert("elsewhere.example"),
            "certificate_of_an_unknown_authority": unknown.issue_cert(*here),
        }
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        """The context for a client that trusts the authority."""
        ours.configure_trust(self.client)

    @classmethod
    @cache
    def shared(cls) -> Self:
        """Return the same instance each time, as creating one is slow."""
        return cls()

    def server(self, which: str = "good") -> ssl.SSLContext:
        """Return the context for a server with one of the certificates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._issued[which].configure_cert(context)
        return context

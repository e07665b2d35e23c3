"""Certificates to trust, and some that must not be trusted."""

import ssl
from datetime import UTC, datetime
from functools import cache
from typing import Self

import trustme

_LONG_PAST = datetime(2021, 1, 1, tzinfo=UTC)


class Certificates:
    """An authority that the client knows, and what others have issued."""

    def __init__(self) -> None:
        ours, unknown = trustme.CA(), trustme.CA()
        here = ("localhost", "127.0.0.1")
        self._issued = {
            "good": ours.issue_cert(*here),
            "certificate_expired": ours.issue_cert(
                *here, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=_LONG_PAST
            ),
            "certificate_of_another_host": ours.issue_cert("elsewhere.example"),
            "certificate_of_an_unknown_authority": unknown.issue_cert(*here),
        }
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        """What a client needs, to which the authority is known."""
        ours.configure_trust(self.client)

    @classmethod
    @cache
    def once(cls) -> Self:
        """Return the same ones each time: making them is slow."""
        return cls()

    def server(self, which: str = "good") -> ssl.SSLContext:
        """Return what a server with one of the certificates needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._issued[which].configure_cert(context)
        return context

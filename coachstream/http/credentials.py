"""The token: where it comes from, and how it stays hidden."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import SupportsIndex

from ..arguments import async_function
from ..errors import (
    ClosedError,
    InvalidArgumentError,
    TokenUnavailableError,
    UnauthorizedError,
)
from ..tasks import Runtime, supervised
from ..telemetry import TokenTrimmed

VARIABLE = "SAMSARA_API_TOKEN"
"""The environment variable read when no token is given."""
FINISH_REFRESH = 10.0
"""Seconds for which a call of the provider may go on when the client closes."""

_QUOTES = "\"'`"

TokenProvider = Callable[[], Awaitable[str]]
"""Called before the first request, and again after a 401; one call at a time, because an OAuth
refresh replaces the refresh token too (https://developers.samsara.com/docs/oauth-20).

If it raises, it is called again as requests are retried. To end the requests instead, because
there will be no more tokens, raise ``UnauthorizedError(401, "why")``."""


class Secret(str):
    """A string whose repr is a mask, and so is the repr of its parts.

    What shows the variables of a traceback's frames, ours or aiohttp's, shows them by repr.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __getitem__(self, part: SupportsIndex | slice) -> "Secret":
        return Secret(super().__getitem__(part))


class Credentials:
    """The token in use.

    Args:
        token: The token, its provider, or None for the environment variable.
        runtime: Where the provider's calls run.
        within: Seconds after which a call of the provider is cancelled.

    Raises:
        InvalidArgumentError: there is no token, or one that can't be sent.
    """

    def __init__(
        self, token: str | TokenProvider | None, *, runtime: Runtime, within: float
    ) -> None:
        self._provider: TokenProvider | None = None
        self._token: Secret | None = None
        self._runtime = runtime
        self._within = within
        self._refresh: asyncio.Task[Secret] | None = None
        if token is None:
            found = os.environ.get(VARIABLE)
            if found is None:
                raise InvalidArgumentError("token", f"pass one, or set {VARIABLE}")
            self._token = self._checked(Secret(found), VARIABLE)
        elif isinstance(token, str):
            self._token = self._checked(Secret(token), "the token")
        elif callable(token):
            self._provider = async_function("token", token)
        else:
            raise InvalidArgumentError(
                "token", f"needs a string or an async function, not {type(token).__name__}"
            )

    def __repr__(self) -> str:
        return f"<Credentials from a {'provider' if self._provider else 'string'}>"

    @property
    def ready(self) -> Secret | None:
        """The token in use; None: the provider must be called first."""
        return self._token

    def refuse(self, token: Secret) -> bool:
        """Note a 401 for ``token``; return whether there may be another one.

        Requests under way may all be refused for one and the same token. Only the first of them
        makes the provider be called again: a token that it gave later is another object.
        """
        if self._provider is not None and self._token is token:
            self._token = None
        return self._provider is not None

    async def token(self) -> Secret:
        """Return the token in use; if there is none, call the provider or join the running call.

        Whoever waits may be cancelled; the call is not, because a refresh that is cut off can lose
        the refresh token that the next one needs.

        Raises:
            TokenUnavailableError: the provider failed.
            UnauthorizedError: the provider raised it: there will be no more tokens.
            InvalidArgumentError: the provider is none, or what it returned is no token.
            ClosedError: the client has been closed.
        """
        if self._token is not None:
            return self._token
        if self._refresh is None or self._refresh.done():
            self._refresh = self._runtime.tasks.start(self._renew())
        refresh = self._refresh
        await asyncio.wait((refresh,))
        if refresh.cancelled():
            raise ClosedError("the client was closed meanwhile")
        return refresh.result()

    async def _renew(self) -> Secret:
        """Call the provider, and keep the token even if nobody waits for it any more."""
        assert self._provider is not None
        # Each request that waits reports what is overdue to its own observer.
        quiet = self._runtime.observed_by(lambda _: None)
        try:
            provided = await supervised(
                partial(_provided, self._provider),
                "the token provider",
                quiet,
                within=self._within,
                finish_within=FINISH_REFRESH,
            )
            self._token = self._checked(provided, "the provider's token")
        except (InvalidArgumentError, UnauthorizedError):
            raise
        except Exception as error:
            # Its words may hold the secrets of an OAuth client, and go to the log.
            raise TokenUnavailableError(
                f"the token provider failed: {type(error).__name__}"
            ) from error
        return self._token

    def _checked(self, token: Secret, whose: str) -> Secret:
        """Return the token, without line breaks at its end, if it can stand in a header.

        Files and secrets made with an editor or ``echo`` end with a line break.
        """
        if token.endswith(("\n", "\r")):
            token = Secret(token.rstrip("\r\n"))
            self._runtime.observe(TokenTrimmed(source=whose))
        if problem := _problem(token):
            raise InvalidArgumentError("token", f"{whose} {problem}")
        return token


async def _provided(provider: TokenProvider) -> Secret:
    return _secret(await provider())


def _secret(token: object) -> Secret:
    if not isinstance(token, str):
        kind = type(token).__name__
        raise InvalidArgumentError("token", f"the provider returned {kind}, not a string")
    return Secret(token)


def _problem(token: Secret) -> str | None:
    """Return why the token can't be sent; None if it can. The words must not quote it."""
    if not token:
        return "is empty"
    if token[0] in _QUOTES or token[-1] in _QUOTES:
        return "is in quotation marks; leave them out (Docker keeps those of an --env-file)"
    if token.lower().startswith("bearer "):
        return 'begins with "Bearer "; leave that out'
    if not token.isascii() or not token.isprintable() or " " in token:
        return "holds a space, a line break or another character that no token has"
    return None

"""The token: where it comes from, and how it is kept out of sight."""

import os
from collections.abc import Awaitable, Callable

import anyio

from .errors import InvalidArgumentError

VARIABLE = "SAMSARA_API_TOKEN"
"""The environment variable read when no token is given."""

TokenProvider = Callable[[], Awaitable[str]]
"""Asked for a token before the first request, and again after a 401; one call at a time, because
an OAuth refresh replaces the refresh token too (https://developers.samsara.com/docs/oauth-20)."""


class Secret(str):
    """A string that does not show itself: its repr is a mask.

    Whatever shows the variables of a traceback's frames, ours or aiohttp's, shows them by repr.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Credentials:
    """The token in use.

    Raises:
        InvalidArgumentError: there is no token, or one that can't be sent.
    """

    def __init__(self, token: str | TokenProvider | None) -> None:
        self._provider: TokenProvider | None = None
        self._token: Secret | None = None
        self._asking = anyio.Lock()
        if token is None:
            self._token = _checked(os.environ.get(VARIABLE, ""), f"{VARIABLE} is")
        elif isinstance(token, str):
            self._token = _checked(token, "it is")
        elif callable(token):
            self._provider = token
        else:
            raise InvalidArgumentError(
                "token", f"needs a string or an async function, not {type(token).__name__}"
            )

    def __repr__(self) -> str:
        return f"<Credentials from a {'provider' if self._provider else 'string'}>"

    async def token(self) -> Secret:
        """Return the token in use; the provider is asked if there is none yet."""
        if self._token is None:
            async with self._asking:
                if self._token is None:
                    self._token = await self._ask()
        return self._token

    async def renewed(self, refused: Secret) -> bool:
        """Ask the provider again, unless someone has; tell whether the token is another now."""
        if self._provider is None:
            return False
        async with self._asking:
            if self._token == refused:
                self._token = await self._ask()
        return self._token != refused

    async def _ask(self) -> Secret:
        assert self._provider is not None
        token = await self._provider()
        if not isinstance(token, str):
            raise InvalidArgumentError(
                "token", f"the provider gave {type(token).__name__}, not a string"
            )
        return _checked(token, "the provider's is")


def _checked(token: str, whose: str) -> Secret:
    """Return the token if it can stand in a header. The message must not quote it."""
    if not token:
        raise InvalidArgumentError("token", f"{whose} empty; pass one or set {VARIABLE}")
    if not all("!" <= character <= "~" for character in token):
        raise InvalidArgumentError(
            "token", f"{whose} not one: it holds a space, a line break or another odd character"
        )
    return Secret(token)

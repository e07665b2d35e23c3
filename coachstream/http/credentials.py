"""The token: where it comes from, and how it is kept out of sight."""

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from typing import SupportsIndex

from ..errors import InvalidArgumentError
from ..tasks import Background

VARIABLE = "SAMSARA_API_TOKEN"
"""The environment variable read when no token is given."""

TokenProvider = Callable[[], Awaitable[str]]
"""Asked for a token before the first request, and again after a 401; one call at a time, because
an OAuth refresh replaces the refresh token too (https://developers.samsara.com/docs/oauth-20)."""


class Secret(str):
    """A string that does not show itself: its repr is a mask, and so is that of its parts.

    Whatever shows the variables of a traceback's frames, ours or aiohttp's, shows them by repr.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __getitem__(self, part: SupportsIndex | slice) -> "Secret":
        return Secret(super().__getitem__(part))


class Credentials:
    """The token in use.

    Raises:
        InvalidArgumentError: there is no token, or one that can't be sent.
    """

    def __init__(self, token: str | TokenProvider | None, *, background: Background) -> None:
        self._provider: TokenProvider | None = None
        self._token: Secret | None = None
        self._background = background
        self._asking: asyncio.Task[Secret] | None = None
        if token is None:
            found = os.environ.get(VARIABLE)
            if found is None:
                raise InvalidArgumentError("token", f"pass one, or set {VARIABLE}")
            self._token = _checked(Secret(found), f"{VARIABLE} is")
        elif isinstance(token, str):
            self._token = _checked(Secret(token), "it is")
        elif callable(token):
            self._provider = token
        else:
            raise InvalidArgumentError(
                "token", f"needs a string or an async function, not {type(token).__name__}"
            )

    def __repr__(self) -> str:
        return f"<Credentials from a {'provider' if self._provider else 'string'}>"

    @property
    def known(self) -> Secret | None:
        """The token in use, if there is one."""
        return self._token

    async def token(self) -> Secret:
        """Return the token in use; the provider is asked if there is none yet."""
        return self._token if self._token is not None else await self._ask()

    async def renewed(self, refused: Secret) -> bool:
        """Ask the provider again, unless someone has; tell whether the token is another now."""
        if self._provider is None:
            return False
        if self._token == refused:
            await self._ask()
        return self._token != refused

    async def _ask(self) -> Secret:
        """Ask the provider, or wait for the answer if it is being asked.

        Whoever waits may be cancelled; the provider is not, because a refresh cut off in the
        middle can lose the token that the next one needs.
        """
        assert self._provider is not None
        if self._asking is None or self._asking.done():
            self._asking = self._background.start(_provided(self._provider))
        asking = self._asking
        await asyncio.wait((asking,))
        self._token = asking.result()
        return self._token


async def _provided(provider: TokenProvider) -> Secret:
    try:
        giving = provider()
        if not inspect.isawaitable(giving):
            raise InvalidArgumentError("token", "the provider is not an async function")
        return _checked(_secret(await giving), "the provider's is")
    except StopAsyncIteration as stop:
        # It would end the loop over a stream as if there were no more sessions.
        raise RuntimeError("the token provider has no more tokens") from stop


def _secret(given: object) -> Secret:
    if not isinstance(given, str):
        kind = type(given).__name__
        raise InvalidArgumentError("token", f"the provider gave {kind}, not a string")
    return Secret(given)


def _checked(token: Secret, whose: str) -> Secret:
    """Return the token if it can stand in a header. The message must not quote it."""
    if not token:
        raise InvalidArgumentError("token", f"{whose} empty")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidArgumentError(
            "token",
            f"{whose} not one: it holds a space, a line break or another odd character "
            '(leave out "Bearer ")',
        )
    return token

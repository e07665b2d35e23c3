"""The token: where it comes from, and how it stays hidden."""

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from typing import SupportsIndex

from ..errors import InvalidArgumentError
from ..tasks import BackgroundTasks

VARIABLE = "SAMSARA_API_TOKEN"
"""The environment variable read when no token is given."""

TokenProvider = Callable[[], Awaitable[str]]
"""Called before the first request, and again after a 401; one call at a time, because an OAuth
refresh replaces the refresh token too (https://developers.samsara.com/docs/oauth-20)."""


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

    Raises:
        InvalidArgumentError: there is no token, or one that can't be sent.
    """

    def __init__(self, token: str | TokenProvider | None, *, tasks: BackgroundTasks) -> None:
        self._provider: TokenProvider | None = None
        self._token: Secret | None = None
        self._tasks = tasks
        self._refresh: asyncio.Task[Secret] | None = None
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
        """Return the token in use; call the provider if there is none yet."""
        return self._token if self._token is not None else await self._provide()

    async def renewed(self, refused: Secret) -> bool:
        """Call the provider again, unless that has been done; return whether the token changed."""
        if self._provider is None:
            return False
        if self._token == refused:
            await self._provide()
        return self._token != refused

    async def _provide(self) -> Secret:
        """Call the provider, or wait for the call that is running.

        Whoever waits may be cancelled; the provider is not, because a refresh that is cut off can
        lose the refresh token that the next one needs.
        """
        assert self._provider is not None
        if self._refresh is None or self._refresh.done():
            self._refresh = self._tasks.start(_provided(self._provider))
        refresh = self._refresh
        await asyncio.wait((refresh,))
        self._token = refresh.result()
        return self._token


async def _provided(provider: TokenProvider) -> Secret:
    try:
        token = provider()
        if not inspect.isawaitable(token):
            raise InvalidArgumentError("token", "the provider is not an async function")
        return _checked(_secret(await token), "the provider's is")
    except StopAsyncIteration as stop:
        # It would end the loop over a stream as if there were no more sessions.
        raise RuntimeError("the token provider has no more tokens") from stop


def _secret(token: object) -> Secret:
    if not isinstance(token, str):
        kind = type(token).__name__
        raise InvalidArgumentError("token", f"the provider returned {kind}, not a string")
    return Secret(token)


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

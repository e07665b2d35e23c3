"""What an event is, and the observer that is given it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from .brief import brief_error, brief_repr

_log = logging.getLogger("coachstream.observer")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base class of all events. An event's repr shows its errors briefly, as log lines do."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            (name, brief_error(value) if isinstance(value, BaseException) else value)
            for name, value in msgspec.structs.asdict(self).items()
        ]

    def __repr__(self) -> str:
        return brief_repr(type(self), self.__rich_repr__())


Observer = Callable[[Event], None]
"""Called with every event, on the event loop; so it must not block."""


def guarded(observer: Observer) -> Observer:
    """Return an observer that logs the exceptions of ``observer`` instead of raising them."""

    def observe(event: Event) -> None:
        try:
            observer(event)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001  # whatever it is, it is logged
            _log.exception("observer failed on %s", type(event).__name__)

    return observe

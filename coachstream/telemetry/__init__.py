"""Events: what happens inside, as frozen values that are passed to one callable, the observer.

An event that announces a wait is emitted before the wait, so that it shows what is still waiting.

It may import the modules beneath it at the top; everything above may import it.
"""

from ..event import Event, Observer, guarded
from .requests import (
    CacheNoticed,
    LimitLowered,
    PlainHttp,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    Throttled,
    TokenRenewed,
    TokenTrimmed,
)
from .streams import (
    BackfillProgress,
    CallOverdue,
    CallReturned,
    CaughtUp,
    CheckpointSaved,
    ConsumerStopped,
    CursorAging,
    CursorExpired,
    HandlerFailed,
    HandlersRecovered,
    HandlersStalled,
    LedgerFailed,
    LoadFailed,
    LoopBlocked,
    PageRead,
    ReadingPaused,
    SaveFailed,
    SessionGivenUp,
    SessionMalformed,
    ShortPollInterval,
    StreamEnded,
)

__all__ = [
    "BackfillProgress",
    "CacheNoticed",
    "CallOverdue",
    "CallReturned",
    "CaughtUp",
    "CheckpointSaved",
    "ConsumerStopped",
    "CursorAging",
    "CursorExpired",
    "Event",
    "HandlerFailed",
    "HandlersRecovered",
    "HandlersStalled",
    "LedgerFailed",
    "LimitLowered",
    "LoadFailed",
    "LoopBlocked",
    "Observer",
    "PageRead",
    "PlainHttp",
    "ReadingPaused",
    "RequestFinished",
    "RequestStarted",
    "RetryScheduled",
    "SaveFailed",
    "SessionGivenUp",
    "SessionMalformed",
    "ShortPollInterval",
    "StreamEnded",
    "Throttled",
    "TokenRenewed",
    "TokenTrimmed",
    "guarded",
]


def __dir__() -> list[str]:
    return __all__

"""Passes sessions that were given up to a handler again."""

from collections.abc import Callable, Hashable
from functools import partial
from random import Random

import msgspec

from ..arguments import NotAsyncError, async_function, sync_function
from ..clock import SystemClock
from ..errors import MalformedSessionError
from ..models import CoachingSession
from ..observers.logging import checked_observer
from ..tasks import BackgroundTasks, Runtime, supervised
from ..tasks.supervision import CLEANUP
from ..telemetry import Observer
from ..wire import pages
from .lanes import driver_of
from .ledger import FailedSession, Handler, Ledger, describe


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a replay.

    Attributes:
        handled: Sessions that were handled; they have left the ledger.
        failed: Sessions that failed again; they stay.
        waiting: Sessions behind one with the same key that failed; they stay, so that the order is
            kept.
    """

    handled: int
    failed: int
    waiting: int


async def replay(
    ledger: Ledger,
    handler: Handler,
    *,
    consumer: str | None = None,
    key: Callable[[CoachingSession], Hashable] = driver_of,
    observer: Observer | None = None,
) -> Replay:
    """Pass each failed session to a handler again; those it handles leave the ledger.

    The handler sees what it has seen in ``consume``: the same session, its ``raw`` included, and
    the context variables of this call. Sessions of one ``key`` keep their order: after one that
    fails, the later ones stay in the ledger. If this is cancelled, the running handler is
    cancelled, its session stays, and no other begins.

    Args:
        ledger: Where they are stored.
        handler: An async function of a session. If it raises, the session stays in the ledger with
            that error.
        consumer: Only those of the consumer with this name.
        key: A function of a session. Sessions with the same key keep their order; by default those
            of a driver.
        observer: Called with every event, such as `CallOverdue`; None logs them.

    Raises:
        InvalidArgumentError: the handler is not an async function, or the key or the observer is no
            function.
        Exception: what the ledger raised.
    """
    handler = async_function("handler", handler)
    sync_function("key", key)
    runtime = Runtime(
        clock=SystemClock(),
        random=Random(),
        observe=checked_observer(observer),
        tasks=BackgroundTasks(),
    )
    handled = failed = waiting = 0
    failed_lanes: set[Hashable] = set()
    # All are listed first, because the ledger changes meanwhile.
    for one in await supervised(partial(_listed, ledger, consumer), "listing a ledger", runtime):
        lane: set[Hashable] = set()  # of one: what can't be hashed fails as it is made
        try:
            session = _session(one)
            lane = {(one.consumer, key(session))}
            if lane & failed_lanes:
                waiting += 1
                continue
            await supervised(partial(handler, session), "the handler of a replay", runtime)
        except NotAsyncError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the ledger stores it
            failed += 1
            failed_lanes |= lane
            again = msgspec.structs.replace(one, error=describe(error), attempts=one.attempts + 1)
            change = partial(ledger.add, again)
        else:
            handled += 1
            change = partial(ledger.remove, one)
        await supervised(change, "changing a ledger", runtime, finish_within=CLEANUP)
    return Replay(handled=handled, failed=failed, waiting=waiting)


async def _listed(ledger: Ledger, consumer: str | None) -> list[FailedSession]:
    return [one async for one in ledger.list() if consumer in {None, one.consumer}]


def _session(failed: FailedSession) -> CoachingSession:
    session = pages.session(failed.raw.encode(), keep_raw=failed.has_own_json)
    if isinstance(session, MalformedSessionError):
        raise session
    return session

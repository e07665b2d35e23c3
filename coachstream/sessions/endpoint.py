"""The sessions of an organisation: the way to their stream."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import get_args

import anyio

from ..arguments import async_function, at_least_one, flag, one_of, seconds
from ..checkpoints import StoreLike
from ..clock import Clock
from ..errors import InvalidArgumentError
from ..feed.backfill import READERS, BackfillReader
from ..feed.fetcher import Fetcher
from ..feed.health import HealthMonitor
from ..feed.reader import OnExpired, PageReader
from ..http.rate_limit import Limit
from ..http.transport import Transport
from ..models import Position
from ..progress.checkpointer import Checkpointer
from ..retry import RetryPolicy
from ..tasks import Background
from ..telemetry import Observer, ShortPollInterval
from ..wire import query as queries
from ..wire.query import Query
from .stream import OnMalformed, SessionStream

POLL_INTERVAL = 5.0
"""The documented minimum, in seconds, between questions to a feed that has nothing more
(https://developers.samsara.com/docs/pagination)."""


class Sessions:
    """``client.sessions``: the coaching sessions of the organisation."""

    def __init__(
        self,
        *,
        transport: Transport,
        limit: Limit,
        retry: RetryPolicy,
        background: Background,
        clock: Clock,
        random: Random,
        observer: Observer,
    ) -> None:
        self._transport = transport
        self._limit = limit
        self._retry = retry
        self._background = background
        self._clock = clock
        self._random = random
        self._observer = observer
        self._warned_of_short_polls = False
        self._kept: list[SessionStream] = []  # those that have something to save at the end

    def stream(
        self,
        *,
        start_time: datetime,
        end_time: datetime | None = None,
        driver_ids: Sequence[str] | None = None,
        coach_ids: Sequence[str] | None = None,
        session_statuses: Sequence[str] | None = None,
        include_coachable_events: bool = False,
        include_external_ids: bool = False,
        after: str | None = None,
        poll_interval: float | timedelta = POLL_INTERVAL,
        readers: int = 1,
        keep_raw: bool = False,
        on_malformed: OnMalformed | None = None,
        on_expired: OnExpired = "resume",
        name: str | None = None,
        store: StoreLike | None = None,
    ) -> SessionStream:
        """Follow the sessions that change from ``start_time`` on; for ever without ``end_time``.

        The parameters are those of ``GET /coaching/sessions/stream``.

        Args:
            start_time: Read versions updated from then on (``updatedAtTime``); an aware datetime.
            end_time: Read versions updated before then, and end when the server has no more of
                them: one in the future does not wait for it. Equal to ``start_time`` it asks for a
                snapshot, the latest version of each session before that moment.
            driver_ids: Only these drivers' sessions. Keep their order: cursors are bound to it.
            coach_ids: Only sessions assigned to or completed by one of these coaches.
            session_statuses: Only these, of `FILTER_STATUSES`. A session that leaves them is not
                seen to leave: to learn of completions and deletions, ask for all.
            include_coachable_events: Tell the events of each behaviour, at most 100 per session.
            include_external_ids: Tell the drivers' external ids.
            after: A cursor to read on from, with otherwise the very same arguments as when it was
                given; see `SessionStream.position`.
            poll_interval: How long to wait, in seconds or as a ``timedelta``, when there is
                nothing more to read.
            readers: With more than one, a stream that begins at ``start_time`` first reads the
                past by windows of time, so many at once, as `backfill` does; then it follows from
                a quarter of an hour before the moment it began. While it reads the past, its
                cursor is one of a window: keep the place in a store, not by hand with ``after``.
            keep_raw: Keep each session's own JSON in ``session.raw``.
            on_malformed: Called with each session that can't be read, and settles it by returning.
                Without it, the session is raised as `MalformedSessionError` whenever it is met.
            on_expired: What to do when the cursor has died: ``"resume"`` a quarter of an hour
                before what was read last, dropping what is known to be settled, or ``"raise"``.
            name: What the place in the ``store`` is called; one reader at a time may use it.
            store: Where the place is kept between runs: a URL (``"sqlite:state.db"``), a store of
                `coachstream.checkpoints`, or a mapping. With a place kept, ``start_time`` only
                has to be no earlier than it was, and the filters have to be the same.

        Raises:
            InvalidArgumentError: at once, naming the argument that can't be used.
        """
        query = queries.sessions_query(
            start_time=start_time,
            end_time=end_time,
            driver_ids=driver_ids,
            coach_ids=coach_ids,
            session_statuses=session_statuses,
            include_coachable_events=include_coachable_events,
            include_external_ids=include_external_ids,
        )
        interval = seconds("poll_interval", poll_interval)
        if interval < POLL_INTERVAL and not self._warned_of_short_polls:
            self._warned_of_short_polls = True
            self._observer(ShortPollInterval(poll_interval=interval))
        return self._open(
            query,
            after=queries.cursor_argument(after),
            poll_interval=interval,
            # A snapshot has no stretch of time to cut.
            readers=at_least_one("readers", readers) if query.start != query.end else 1,
            keep_raw=flag("keep_raw", keep_raw),
            on_malformed=on_malformed,
            on_expired=on_expired,
            checkpointer=self._checkpointer(name, store),
        )

    def backfill(
        self,
        *,
        start_time: datetime,
        end_time: datetime,
        readers: int = READERS,
        driver_ids: Sequence[str] | None = None,
        coach_ids: Sequence[str] | None = None,
        session_statuses: Sequence[str] | None = None,
        include_coachable_events: bool = False,
        include_external_ids: bool = False,
        keep_raw: bool = False,
        on_malformed: OnMalformed | None = None,
        on_expired: OnExpired = "resume",
        name: str | None = None,
        store: StoreLike | None = None,
    ) -> SessionStream:
        """Read the past as fast as the rate limit lets us: by windows of time, several at once.

        ::

            async with client.sessions.backfill(start_time=a, end_time=b) as sessions:
                async for session in sessions:
                    ...

        What comes is what `stream` would bring for the same times, in the windows' order, so that
        a driver's sessions keep theirs. `telemetry.BackfillProgress` tells how far it is. Held in
        memory are at most 4 MiB of pages per reader, and two pages more. With a ``name`` and a
        ``store`` it goes on where it was.

        Args:
            start_time: Read versions updated from then on; an aware datetime.
            end_time: Read versions updated before then. A session that changes while this runs is
                one of a later time, which only `stream` with ``readers`` follows.
            readers: How many windows to read at once. Five use up the limit of Samsara as long as
                an answer takes no more than a second.
            driver_ids: As for `stream`, and so are the others.
            coach_ids: See there.
            session_statuses: See there.
            include_coachable_events: See there.
            include_external_ids: See there.
            keep_raw: See there.
            on_malformed: See there.
            on_expired: See there.
            name: See there.
            store: See there.

        Raises:
            InvalidArgumentError: at once, naming the argument that can't be used.
        """
        query = queries.sessions_query(
            start_time=start_time,
            end_time=end_time,
            driver_ids=driver_ids,
            coach_ids=coach_ids,
            session_statuses=session_statuses,
            include_coachable_events=include_coachable_events,
            include_external_ids=include_external_ids,
        )
        if query.end is None or query.end == query.start:
            raise InvalidArgumentError("end_time", "needs a datetime after start_time")
        return self._open(
            query,
            after=None,
            poll_interval=POLL_INTERVAL,
            readers=at_least_one("readers", readers),
            keep_raw=flag("keep_raw", keep_raw),
            on_malformed=on_malformed,
            on_expired=on_expired,
            checkpointer=self._checkpointer(name, store),
        )

    def _open(
        self,
        query: Query,
        *,
        after: str | None,
        poll_interval: float,
        readers: int,
        keep_raw: bool,
        on_malformed: OnMalformed | None,
        on_expired: OnExpired,
        checkpointer: Checkpointer | None,
    ) -> SessionStream:
        one_of("on_expired", on_expired, get_args(OnExpired))
        if on_malformed is not None:
            async_function("on_malformed", on_malformed)
        if checkpointer is not None and after is not None:
            raise InvalidArgumentError("after", "the place is kept in the store; give one of both")
        start = Position(query=query.wire, origin=query.wire, cursor=after)
        monitor = HealthMonitor(timeout=self._transport.timeout, now=self._clock.monotonic())
        observer = monitor.telling(self._observer, self._clock)

        def open_reader(start: Position) -> PageReader:
            fetcher = Fetcher(
                transport=self._transport,
                limit=self._limit,
                patience=self._retry.for_a_stream(),
                background=self._background,
                clock=self._clock,
                monitor=monitor,
                observer=observer,
                keep_raw=keep_raw,
            )
            return PageReader(
                start=start,
                fetcher=fetcher,
                clock=self._clock,
                observer=observer,
                poll_interval=poll_interval,
                on_expired=on_expired,
            )

        stream = SessionStream(
            query=query,
            reader=BackfillReader(
                start=start,
                readers=readers,
                open_reader=open_reader,
                server_now=lambda: self._transport.server_now,
                background=self._background,
                clock=self._clock,
                observer=observer,
            ),
            background=self._background,
            monitor=monitor,
            observer=observer,
            clock=self._clock,
            start=start,
            checkpointer=checkpointer,
            on_malformed=on_malformed,
        )
        if checkpointer is not None:
            self._kept = [*(one for one in self._kept if not one.closed), stream]
        return stream

    def _checkpointer(self, name: str | None, store: StoreLike | None) -> Checkpointer | None:
        if name is None and store is None:
            return None
        if name is None:
            raise InvalidArgumentError("name", "a store needs a name to keep the place under")
        if store is None:
            raise InvalidArgumentError("store", "a name needs a store to keep the place in")
        return Checkpointer(
            store, name=name, clock=self._clock, observer=self._observer, random=self._random
        )

    async def aclose(self) -> None:
        """Close the streams that keep their place in a store, which saves it.

        Raises:
            Exception: what the first that failed raised; the others are closed all the same.
        """
        failure: Exception | None = None
        with anyio.CancelScope(shield=True):  # each save has its own bound
            for stream in self._kept:
                try:
                    await stream.aclose()
                except Exception as error:  # noqa: BLE001  # raised below, after the others
                    failure = failure or error
        if failure is not None:
            raise failure

"""``client.sessions``: opens streams of coaching sessions."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

from ..arguments import async_function, at_least_one, flag, one_of, seconds
from ..checkpoints import StoreLike
from ..enumerations import FilterStatus
from ..errors import InvalidArgumentError
from ..feed.backfill import READERS
from ..feed.reader import OnExpired
from ..tasks import Runtime
from ..telemetry import ShortPollInterval
from ..wire import query as queries
from ..wire.query import Filters
from .malformed import OnMalformed
from .opening import StreamOpener
from .stream import SessionStream

Settle = Literal["next", "ack"]
"""What settles a session: asking for the next one, or `ack`; or only `ack`."""

POLL_INTERVAL = 5.0
"""The documented minimum, in seconds, between requests to a feed that has nothing more
(https://developers.samsara.com/docs/pagination)."""


class Sessions:
    """``client.sessions``: the coaching sessions of the organisation."""

    def __init__(self, opener: StreamOpener, runtime: Runtime) -> None:
        self._opener = opener
        self._runtime = runtime
        self._warned_of_short_polls = False

    def stream(
        self,
        *,
        start_time: datetime,
        end_time: datetime | None = None,
        driver_ids: Sequence[str] | None = None,
        coach_ids: Sequence[str] | None = None,
        session_statuses: Sequence[FilterStatus] | None = None,
        include_coachable_events: bool = False,
        include_external_ids: bool = False,
        after: str | None = None,
        poll_interval: float | timedelta = POLL_INTERVAL,
        readers: int = 1,
        keep_raw: bool = False,
        on_malformed: OnMalformed | None = None,
        on_expired: OnExpired = "resume",
        settle: Settle = "next",
        name: str | None = None,
        store: StoreLike | None = None,
    ) -> SessionStream:
        """Follow the sessions that change from ``start_time`` on; for ever without ``end_time``.

        The parameters are those of ``GET /coaching/sessions/stream``.

        Args:
            start_time: Read versions updated from then on (``updatedAtTime``); an aware datetime.
            end_time: Read versions updated before then, and end when the server has no more of
                them; the stream does not wait for an end in the future. If it equals
                ``start_time``, this is a `snapshot`.
            driver_ids: Only these drivers' sessions. Keep their order: cursors are bound to it.
            coach_ids: Only sessions assigned to or completed by one of these coaches.
            session_statuses: Only sessions that are ``"upcoming"``, ``"completed"`` or
                ``"deleted"``. One that changes to another status is not delivered: to see
                completions and deletions, leave this out.
            include_coachable_events: Include the events of each behavior, at most 100 per session.
            include_external_ids: Include the drivers' external ids.
            after: A cursor to resume from. All other arguments must equal those of the stream that
                returned it (``stream.position.cursor``).
            poll_interval: Seconds, or a ``timedelta``, between polls when all has been read.
            readers: How many windows of time to read at once. With more than one, a stream that
                begins at ``start_time`` first reads the backlog as `backfill` does; then it
                continues with one reader, from 15 minutes before the stream was opened. Until then
                use a ``store``: a cursor for ``after`` covers only one window.
            keep_raw: Keep each session's own JSON in ``session.raw``.
            on_malformed: An async function that is given each session that can't be decoded, as a
                `MalformedSessionError`; when it returns, that session is settled. Without it, the
                error is raised, and again when the stream is resumed.
            on_expired: What to do when the cursor has expired. ``"resume"``: restart 15 minutes
                before the last version read, and skip versions already settled. ``"raise"``: raise
                `CursorExpiredError`.
            settle: What settles a session: ``"next"``: asking for the next one, or `ack`;
                ``"ack"``: `ack` alone, for those who write in batches.
            name: The name of the saved position in the ``store``. One stream or consumer at a time
                may use it.
            store: Where the position is saved between runs: a URL (``"sqlite:state.db"``), a store
                of `coachstream.checkpoints`, or a mapping. Later runs resume from the saved
                position. They need the same filters and a ``start_time`` no earlier than before.

        Raises:
            InvalidArgumentError: an argument can't be used; raised at the call, naming it.
        """
        query = queries.sessions_query(
            start_time=start_time,
            end_time=end_time,
            filters=Filters(
                driver_ids=driver_ids,
                coach_ids=coach_ids,
                session_statuses=session_statuses,
                include_coachable_events=include_coachable_events,
                include_external_ids=include_external_ids,
            ),
        )
        cursor = queries.cursor_argument(after)
        if name is None and store is not None:
            raise InvalidArgumentError("name", "the store needs a name for the saved position")
        if name is not None and store is None:
            raise InvalidArgumentError("store", "the name needs a store for the saved position")
        if name is not None and cursor is not None:
            raise InvalidArgumentError(
                "after", "the store holds the position: use either after, or name and store"
            )
        one_of("on_expired", on_expired, get_args(OnExpired))
        one_of("settle", settle, get_args(Settle))
        if on_malformed is not None:
            on_malformed = async_function("on_malformed", on_malformed)
        return self._opener.open(
            query,
            cursor=cursor,
            poll_interval=self._checked_poll_interval(poll_interval),
            readers=at_least_one("readers", readers),
            keep_raw=flag("keep_raw", keep_raw),
            on_malformed=on_malformed,
            on_expired=on_expired,
            by_ack=settle == "ack",
            saved_in=None if name is None or store is None else (name, store),
        )

    def backfill(
        self,
        *,
        start_time: datetime,
        end_time: datetime,
        readers: int = READERS,
        driver_ids: Sequence[str] | None = None,
        coach_ids: Sequence[str] | None = None,
        session_statuses: Sequence[FilterStatus] | None = None,
        include_coachable_events: bool = False,
        include_external_ids: bool = False,
        keep_raw: bool = False,
        on_malformed: OnMalformed | None = None,
        on_expired: OnExpired = "resume",
        settle: Settle = "next",
        name: str | None = None,
        store: StoreLike | None = None,
    ) -> SessionStream:
        """Read what changed between two moments as fast as the rate limit allows.

        ::

            async with client.sessions.backfill(start_time=a, end_time=b) as sessions:
                async for session in sessions:
                    ...

        It reads several windows of time at once and delivers what `stream` would deliver for the
        same times, a driver's sessions in order. `coachstream.telemetry.BackfillProgress` is the
        event that reports its progress. It holds at most 4 MiB of pages per reader in memory, plus
        two pages.

        Args:
            start_time: Read versions updated from then on; an aware datetime.
            end_time: Read versions updated before then. A session that changes meanwhile is not
                delivered in its new version; to get it, use `stream` with ``readers``.
            readers: How many windows to read at once. Five use up Samsara's limit as long as a
                response takes no more than a second.
            driver_ids: Only these drivers' sessions.
            coach_ids: Only sessions assigned to or completed by one of these coaches.
            session_statuses: Only sessions that are ``"upcoming"``, ``"completed"`` or
                ``"deleted"``.
            include_coachable_events: Include the events of each behavior, at most 100 per session.
            include_external_ids: Include the drivers' external ids.
            keep_raw: Keep each session's own JSON in ``session.raw``.
            on_malformed: An async function that is given each session that can't be decoded, as a
                `MalformedSessionError`. Without it, the error is raised.
            on_expired: When a cursor has expired, restart a little earlier (``"resume"``), or raise
                `CursorExpiredError` (``"raise"``).
            settle: What settles a session: asking for the next one (``"next"``), or only
                `SessionStream.ack` (``"ack"``).
            name: The name of the saved position in the ``store``.
            store: Where the position is saved between runs: a URL (``"sqlite:state.db"``), a store
                of `coachstream.checkpoints`, or a mapping.

        Raises:
            InvalidArgumentError: at once, naming the argument that can't be used.
        """
        query = queries.sessions_query(start_time=start_time, end_time=end_time)
        if query.end is None or query.end == query.start:
            raise InvalidArgumentError("end_time", "needs a datetime after start_time")
        return self.stream(
            start_time=start_time,
            end_time=end_time,
            driver_ids=driver_ids,
            coach_ids=coach_ids,
            session_statuses=session_statuses,
            include_coachable_events=include_coachable_events,
            include_external_ids=include_external_ids,
            readers=readers,
            keep_raw=keep_raw,
            on_malformed=on_malformed,
            on_expired=on_expired,
            settle=settle,
            name=name,
            store=store,
        )

    def snapshot(
        self,
        *,
        at: datetime | None = None,
        driver_ids: Sequence[str] | None = None,
        coach_ids: Sequence[str] | None = None,
        session_statuses: Sequence[FilterStatus] | None = None,
        include_coachable_events: bool = False,
        include_external_ids: bool = False,
        keep_raw: bool = False,
        on_malformed: OnMalformed | None = None,
    ) -> SessionStream:
        """Read the latest version of each session before a moment, once: for reports.

        ::

            rows = [session.to_dict() async for session in client.sessions.snapshot()]

        This is `stream` with that moment as ``start_time`` and ``end_time``. Deleted sessions are
        among them, with the status ``deleted``.

        Args:
            at: The moment; an aware datetime. None: now, by the clock of this machine.
            driver_ids: Only these drivers' sessions.
            coach_ids: Only sessions assigned to or completed by one of these coaches.
            session_statuses: Only sessions that are ``"upcoming"``, ``"completed"`` or
                ``"deleted"``.
            include_coachable_events: Include the events of each behavior, at most 100 per session.
            include_external_ids: Include the drivers' external ids.
            keep_raw: Keep each session's own JSON in ``session.raw``.
            on_malformed: An async function that is given each session that can't be decoded, as a
                `MalformedSessionError`. Without it, the error is raised.

        Raises:
            InvalidArgumentError: an argument can't be used; raised at the call, naming it.
        """
        moment = self._runtime.clock.now() if at is None else queries.utc("at", at)
        return self.stream(
            start_time=moment,
            end_time=moment,
            driver_ids=driver_ids,
            coach_ids=coach_ids,
            session_statuses=session_statuses,
            include_coachable_events=include_coachable_events,
            include_external_ids=include_external_ids,
            keep_raw=keep_raw,
            on_malformed=on_malformed,
        )

    def _checked_poll_interval(self, poll_interval: float | timedelta) -> float:
        interval = seconds("poll_interval", poll_interval)
        if interval < POLL_INTERVAL and not self._warned_of_short_polls:
            self._warned_of_short_polls = True
            self._runtime.observe(ShortPollInterval(poll_interval=interval))
        return interval

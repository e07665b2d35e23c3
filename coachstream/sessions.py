"""The sessions of an organisation: the way to their stream."""

import inspect
from collections.abc import Sequence
from datetime import datetime, timedelta

from . import query as queries
from .background import Background
from .clock import Clock, seconds
from .errors import InvalidArgumentError
from .health import Pulse
from .ratelimit import Limit
from .reader import PageReader
from .retry import RetryPolicy
from .stream import OnMalformed, SessionStream
from .telemetry import Observer, ShortPollInterval
from .transport import Transport

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
        observer: Observer,
    ) -> None:
        self._transport = transport
        self._limit = limit
        self._retry = retry
        self._background = background
        self._clock = clock
        self._observer = observer
        self._warned_of_short_polls = False

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
        keep_raw: bool = False,
        on_malformed: OnMalformed | None = None,
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
            keep_raw: Keep each session's own JSON in ``session.raw``.
            on_malformed: Called with each session that can't be read, and settles it by returning.
                Without it, the session is raised as `MalformedSessionError` whenever it is met.

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
        after = queries.cursor_argument(after)
        if on_malformed is not None and not inspect.iscoroutinefunction(on_malformed):
            raise InvalidArgumentError("on_malformed", "needs an async function")
        interval = seconds("poll_interval", poll_interval)
        if interval < POLL_INTERVAL and not self._warned_of_short_polls:
            self._warned_of_short_polls = True
            self._observer(ShortPollInterval(poll_interval=interval))
        pulse = Pulse(timeout=self._transport.timeout, now=self._clock.monotonic())
        reader = PageReader(
            query=query,
            after=after,
            transport=self._transport,
            limit=self._limit,
            patience=self._retry.for_a_stream(),
            clock=self._clock,
            observer=self._observer,
            pulse=pulse,
            poll_interval=interval,
            keep_raw=queries.flag("keep_raw", keep_raw),
        )
        return SessionStream(
            reader=reader,
            background=self._background,
            pulse=pulse,
            clock=self._clock,
            after=after,
            on_malformed=on_malformed,
        )

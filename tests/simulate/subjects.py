"""The ways into the library, as services use them that must not lose anything."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any

from coachstream import (
    ApiError,
    Client,
    ClosedError,
    CoachingSession,
    CursorExpiredError,
    FailedSession,
    MalformedSessionError,
    PageTooLargeError,
    Retry,
    RetryPolicy,
    SessionStream,
    TooManyFailuresError,
    consume,
)
from tests.simulate.plan import SubjectPlan
from tests.simulate.stage import Stage
from tests.simulate.store import ShakyStore, StoreDown
from tests.simulate.watch import Watch
from tests.support.emulated import key
from tests.support.virtual_time import pass_time


class Failed(Exception):  # noqa: N818  # what a handler raises is its own affair
    """Raised by handlers and loops on purpose."""


EXPECTED = (
    Failed,
    Retry,  # the last of its tries
    StoreDown,
    TimeoutError,  # the last save took too long
    ApiError,
    PageTooLargeError,
    MalformedSessionError,
    CursorExpiredError,
    TooManyFailuresError,
)
"""What a service has to live with: it logs it, waits a little and begins again."""


class Subject:
    """One user of the library, who begins again whenever something ends."""

    def __init__(self, stage: Stage, plan: SubjectPlan, number: int) -> None:
        self.plan = plan
        self.stage = stage
        self.watch = Watch(stage.plan, plan, stage.emulator, stage.journal)
        self._chance = Random(f"subject {stage.plan.seed} {number}")
        self.store = ShakyStore(self.watch, stage.skies, stage.journal, self._chance)
        self.stream: SessionStream | None = None
        self.dying = False
        self.over = False
        """Whether this life is: what failed in being cancelled is not begun again."""
        self.ended = False
        """Whether a query with an end came to it."""
        self._name = f"subject {number}"
        self._running: set[str] = set()
        self._attempts = 0
        self._late_errors = 0

    async def go_on(self, client: Client) -> None:
        """Do the work until it is cancelled, closed or at its end."""
        while not (self.ended or self.over):
            self._attempts += 1
            kept = self.store.kept
            self.watch.begin(None if kept is None else kept.position, self._attempts)
            self.stage.journal.subjects[self.plan.name] += 1
            self._running.clear()
            try:
                if await self._attempt(client):
                    return
            except EXPECTED as error:
                self._expect(error)
            except ClosedError:
                return  # the client was
            if not self.over:
                await pass_time(1 + (30 + self.stage.plan.calm / 300) * self._chance.random())

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return not self.watch.missing and (self.ended or not self.plan.bounded)

    def _expect(self, error: Exception) -> None:
        self.stage.journal.note("error", type(error).__name__, str(error)[:80])
        if self.stage.skies.calm and not (self.over or self.dying):
            self._late_errors += 1
            if self._late_errors > 3:
                self.stage.journal.violate("calm after the storm", repr(error))

    def _open(self, client: Client, **more: Any) -> SessionStream:
        plan, watch = self.plan, self.watch
        start = watch.start
        if plan.moving_start and self.store.kept is not None:
            start += timedelta(seconds=asyncio.get_running_loop().time())
            start = min(start, watch.birth - timedelta(minutes=1))
        query: dict[str, Any] = {"start_time": start, "driver_ids": watch.drivers} | more
        query |= {"keep_raw": plan.keep_raw, "readers": plan.readers}
        if plan.way != "consume":
            query |= {"name": self._name, "store": self.store}
            query["on_malformed"] = self._settle if plan.settles_malformed else None
        if plan.backfill:
            return client.sessions.backfill(end_time=watch.birth, **query)
        return client.sessions.stream(end_time=watch.end, poll_interval=plan.poll, **query)

    async def _attempt(self, client: Client) -> bool:
        """Work until it ends, and tell whether that was asked for."""
        stream = self.stream = self._open(client)
        try:
            if self.plan.way == "consume":
                await self._consume(stream)
            elif self.plan.way == "loop":
                await self._loop(stream)
            else:
                await self._read_pages(stream)
            # Closed by somebody, a stream ends as if there were no more.
            self.ended = self.plan.bounded and not self.watch.missing
        finally:
            self.stream = None
        return True

    async def _settle(self, error: MalformedSessionError) -> None:
        self.watch.unread(error)

    # Loops

    async def _loop(self, stream: SessionStream) -> None:
        async with stream:
            while True:
                try:
                    session = await self._patiently(stream.__anext__)
                except StopAsyncIteration:
                    return
                await self._work_on(session)
                if self._draws(self.plan.acks):
                    await stream.ack()

    async def _read_pages(self, stream: SessionStream) -> None:
        async with stream:
            pages = stream.pages()
            while True:
                try:
                    page = await self._patiently(pages.__anext__)
                except StopAsyncIteration:
                    return
                for session in page.sessions:
                    await self._work_on(session)
                if self._draws(self.plan.acks):
                    await stream.ack()

    async def _patiently(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask, at times with a time-out around it, after which it is asked again."""
        while True:
            if not self._draws(self.plan.impatience):
                return await ask()
            try:
                async with asyncio.timeout(2 * self._chance.random()):
                    return await ask()
            except TimeoutError:
                self.stage.journal.fault("time-out around a step")

    async def _work_on(self, session: CoachingSession) -> None:
        one = key(session)
        self.watch.start_of(session.driver.driver_id, one)
        await pass_time(self.plan.slowness * self._chance.random())
        if self.dying or (not self.stage.skies.calm and self._draws(self.plan.breaks)):
            self.stage.journal.fault("loop left")
            raise Failed("left")
        self.watch.end_of(one)

    # Callbacks

    async def _consume(self, stream: SessionStream) -> None:
        plan, stage = self.plan, self.stage
        run = _Run(self, stream)
        try:
            report = await consume(
                stream,
                run.handle,
                name=self._name,
                store=self.store,
                concurrency=plan.concurrency,
                on_failure=plan.on_failure,
                ledger=None if plan.on_failure == "stop" else run,
                max_unsettled=plan.max_unsettled,
                retry=RetryPolicy(attempts=3),
                failure_ratio=0.9,
                drain_timeout=5.0,
                observer=stage.observe,
                clock=stage.clock,
                random=self._chance,
            )
        finally:
            run.over = True
        stage.journal.note("report", report.handled, report.given_up, report.unsettled)

    def _draws(self, likely: float) -> bool:
        return likely > 0 and self._chance.random() < likely


class _Run:
    """One run of a consumer: its handler, and its ledger."""

    def __init__(self, subject: Subject, stream: SessionStream) -> None:
        self._subject = subject
        self._stream = stream
        self._running: set[str] = set()
        self.over = False

    async def handle(self, session: CoachingSession) -> None:
        subject, driver, one = self._subject, session.driver.driver_id, key(session)
        watch, journal = subject.watch, subject.stage.journal
        if driver in self._running:
            journal.violate("one of a driver's at a time", one)
        if len(self._running) > subject.plan.concurrency:
            journal.violate("no more at once than allowed", len(self._running))
        self._running.add(driver)
        watch.start_of(driver, one)
        self._look_at_memory()
        try:
            await pass_time(subject.plan.slowness * subject._chance.random())
            self._fail_perhaps()
        finally:
            self._running.discard(driver)
        if self.over:
            journal.violate("nothing is handled after the end", one)
        watch.end_of(one)

    async def add(self, failed: FailedSession) -> None:
        """Keep what is given up: it is settled then."""
        subject = self._subject
        if not subject.stage.skies.calm and subject._draws(subject.plan.failing):
            subject.stage.journal.fault("ledger fails")
            raise StoreDown("ledger")
        raw, name, moment = failed.raw.encode(), failed.session_id, failed.updated_at_time
        subject.watch.unread(
            MalformedSessionError("", session_id=name, updated_at_time=moment, raw=raw)
        )

    async def remove(self, failed: FailedSession) -> None:
        raise AssertionError("nobody replays")

    def list(self) -> AsyncIterator[FailedSession]:
        raise AssertionError("nobody replays")

    def _fail_perhaps(self) -> None:
        subject = self._subject
        if subject.dying:
            raise Failed("dying")
        if subject.stage.skies.calm or not subject._draws(subject.plan.failing):
            return
        if subject._draws(0.3):
            subject.stage.journal.fault("handler says Retry")
            raise Retry(after=20 * subject._chance.random())
        subject.stage.journal.fault("handler fails")
        raise Failed("handler")

    def _look_at_memory(self) -> None:
        stage, plan = self._subject.stage, self._subject.plan
        most = plan.max_unsettled + stage.plan.page_size[1]
        if self._stream._source.frontier.open_sessions > most:
            stage.journal.violate("memory is bounded", self._stream._source.frontier.open_sessions)

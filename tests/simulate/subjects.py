"""Users of the library that must not lose a session: loops, pages and consumers."""

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
    CursorLoopError,
    FailedSession,
    MalformedSessionError,
    PageTooLargeError,
    Retry,
    RetryPolicy,
    SessionStream,
    StoreError,
    TooManyFailuresError,
    consume,
)
from tests.simulate.checker import Checker
from tests.simulate.context import Context
from tests.simulate.plan import SubjectPlan
from tests.simulate.store import FaultyStore, StoreUnavailable
from tests.support.versions import identity
from tests.support.virtual_time import pass_time


class Failed(Exception):  # noqa: N818  # a handler may raise anything
    """Raised by handlers and loops on purpose."""


EXPECTED = (
    Failed,
    Retry,  # the last attempt
    StoreError,
    StoreUnavailable,  # of a ledger
    TimeoutError,  # closing took too long
    ApiError,
    PageTooLargeError,
    MalformedSessionError,
    CursorExpiredError,
    CursorLoopError,  # several "empty page"s in a row, where the same place has the same cursor
    TooManyFailuresError,
)
"""Errors after which a service waits a little and starts again."""


class Subject:
    """One user of the library, which starts again after each error."""

    def __init__(self, context: Context, plan: SubjectPlan, number: int) -> None:
        self.plan = plan
        self.context = context
        self.checker = Checker(context.plan, plan, context.emulator, context.journal)
        self._chance = Random(f"subject {context.plan.seed} {number}")
        self.store = FaultyStore(self.checker, context.faults, context.journal, self._chance)
        self.stream: SessionStream | None = None
        self.failing = False
        self.stopped = False
        """Whether this run is being ended: no new attempt starts then."""
        self.ended = False
        """Whether a query with an end has reached it."""
        self._name = f"subject {number}"
        self._running: set[str] = set()
        self._attempts = 0
        self._late_errors = 0

    async def run(self, client: Client) -> None:
        """Work until cancelled, closed or at the end of the query."""
        while not (self.ended or self.stopped):
            self._attempts += 1
            checkpoint = self.store.checkpoint
            self.checker.start_attempt(
                None if checkpoint is None else checkpoint.position, self._attempts
            )
            self.context.journal.subjects[self.plan.name] += 1
            self._running.clear()
            try:
                if await self._attempt(client):
                    return
            except EXPECTED as error:
                self._check_error(error)
            except ClosedError:
                return  # the client was closed
            if not self.stopped:
                await pass_time(
                    1 + (30 + self.context.plan.faults_end / 300) * self._chance.random()
                )

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return not self.checker.missing and (self.ended or not self.plan.bounded)

    def _check_error(self, error: Exception) -> None:
        self.context.journal.note("error", type(error).__name__, str(error)[:80])
        if self.context.faults.over and not (self.stopped or self.failing):
            self._late_errors += 1
            if self._late_errors > 3:
                self.context.journal.violation("no errors after the last fault", repr(error))

    def _open(self, client: Client, **more: Any) -> SessionStream:
        plan, checker = self.plan, self.checker
        start = checker.start
        if plan.moving_start and self.store.checkpoint is not None:
            start += timedelta(seconds=asyncio.get_running_loop().time())
            start = min(start, checker.world_start - timedelta(minutes=1))
        query: dict[str, Any] = {"start_time": start, "driver_ids": checker.drivers} | more
        query |= {"keep_raw": plan.keep_raw, "readers": plan.readers}
        if plan.interface != "consume":
            query |= {"name": self._name, "store": self.store}
            query["on_malformed"] = self._settle if plan.settles_malformed else None
        if plan.backfill:
            return client.sessions.backfill(end_time=checker.world_start, **query)
        return client.sessions.stream(
            end_time=checker.end, poll_interval=plan.poll_interval, **query
        )

    async def _attempt(self, client: Client) -> bool:
        """Work until the stream ends; return True, or raise its error."""
        stream = self.stream = self._open(client)
        try:
            if self.plan.interface == "consume":
                await self._consume(stream)
            elif self.plan.interface == "loop":
                await self._loop(stream)
            else:
                await self._read_pages(stream)
            # A closed stream ends as a complete one does.
            self.ended = self.plan.bounded and not self.checker.missing
        finally:
            self.stream = None
        return True

    async def _settle(self, error: MalformedSessionError) -> None:
        self.checker.settled_malformed(error)

    # Loops

    async def _loop(self, stream: SessionStream) -> None:
        async with stream:
            while True:
                try:
                    session = await self._with_timeouts(stream.__anext__)
                except StopAsyncIteration:
                    return
                await self._handle(session)
                if self._happens(self.plan.ack_rate):
                    await stream.ack()

    async def _read_pages(self, stream: SessionStream) -> None:
        async with stream:
            pages = stream.pages()
            while True:
                try:
                    page = await self._with_timeouts(pages.__anext__)
                except StopAsyncIteration:
                    return
                for session in page.sessions:
                    await self._handle(session)
                if self._happens(self.plan.ack_rate):
                    await stream.ack()

    async def _with_timeouts(self, step: Callable[[], Awaitable[Any]]) -> Any:
        """Await a step, at times with a time-out, after which it is repeated."""
        while True:
            if not self._happens(self.plan.timeout_rate):
                return await step()
            try:
                async with asyncio.timeout(2 * self._chance.random()):
                    return await step()
            except TimeoutError:
                self.context.journal.fault("time-out around a step")

    async def _handle(self, session: CoachingSession) -> None:
        one = identity(session)
        self.checker.handling_started(session.driver.driver_id, one)
        await pass_time(self.plan.handling_seconds * self._chance.random())
        if self.failing or (not self.context.faults.over and self._happens(self.plan.leave_rate)):
            self.context.journal.fault("loop left")
            raise Failed("left")
        self.checker.handling_finished(one)

    # Callbacks

    async def _consume(self, stream: SessionStream) -> None:
        plan, context = self.plan, self.context
        consumer = _Consumer(self, stream)
        try:
            report = await consume(
                stream,
                consumer.handle,
                name=self._name,
                store=self.store,
                concurrency=plan.concurrency,
                on_failure=plan.on_failure,
                ledger=None if plan.on_failure == "stop" else consumer,
                max_unsettled=plan.max_unsettled,
                retry=RetryPolicy(attempts=3),
                failure_ratio=0.9,
                drain_timeout=5.0,
                observer=context.observe,
                clock=context.clock,
                random=self._chance,
            )
        finally:
            consumer.stopped = True
        context.journal.note("report", report.handled, report.given_up, report.unsettled)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._chance.random() < probability


class _Consumer:
    """One run of a consumer: its handler and its ledger."""

    def __init__(self, subject: Subject, stream: SessionStream) -> None:
        self._subject = subject
        self._stream = stream
        self._running: set[str] = set()
        self.stopped = False

    async def handle(self, session: CoachingSession) -> None:
        subject, driver, one = self._subject, session.driver.driver_id, identity(session)
        checker, journal = subject.checker, subject.context.journal
        if driver in self._running:
            journal.violation("one session per driver at a time", one)
        if len(self._running) > subject.plan.concurrency:
            journal.violation("the concurrency limit is kept", len(self._running))
        self._running.add(driver)
        checker.handling_started(driver, one)
        self._check_memory()
        try:
            await pass_time(subject.plan.handling_seconds * subject._chance.random())
            self._maybe_fail()
        finally:
            self._running.discard(driver)
        if self.stopped:
            journal.violation("nothing is handled after the end", one)
        checker.handling_finished(one)

    async def add(self, failed: FailedSession) -> None:
        """Record a session that is given up, which settles it."""
        subject = self._subject
        if not subject.context.faults.over and subject._happens(subject.plan.failure_rate):
            subject.context.journal.fault("ledger fails")
            raise StoreUnavailable("ledger")
        raw, name, moment = failed.raw.encode(), failed.session_id, failed.updated_at_time
        subject.checker.settled_malformed(
            MalformedSessionError("", session_id=name, updated_at_time=moment, raw=raw)
        )

    async def remove(self, failed: FailedSession) -> None:
        raise AssertionError("nothing is replayed here")

    def list(self) -> AsyncIterator[FailedSession]:
        raise AssertionError("nothing is replayed here")

    def _maybe_fail(self) -> None:
        subject = self._subject
        if subject.failing:
            raise Failed("at the end of the run")
        if subject.context.faults.over or not subject._happens(subject.plan.failure_rate):
            return
        if subject._happens(0.3):
            subject.context.journal.fault("handler raises Retry")
            raise Retry(after=20 * subject._chance.random())
        subject.context.journal.fault("handler fails")
        raise Failed("handler")

    def _check_memory(self) -> None:
        context, plan = self._subject.context, self._subject.plan
        most = plan.max_unsettled + context.plan.page_size[1]
        if self._stream._source.frontier.open_sessions > most:
            context.journal.violation(
                "memory is bounded", self._stream._source.frontier.open_sessions
            )

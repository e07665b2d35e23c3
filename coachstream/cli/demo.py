"""``coachstream demo``: backfill, live changes, faults, a restart, and a count of what was lost.

It is also an example: from `_use_library` to the end, the code uses the library as your own
program would. The code before that sets up the server.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta

import click
from rich.console import Console

from coachstream import (
    Client,
    CoachingSession,
    ConnectionLostError,
    Event,
    Page,
    RateLimitError,
    SessionStream,
    SystemClock,
)
from coachstream.emulator import Emulator, Fault, World, empty_page, hang_up, refuse, serve
from coachstream.telemetry import (
    LimitLowered,
    PageRead,
    RequestStarted,
    RetryScheduled,
)

from ..text import counted
from . import running
from .demo_view import DemoConsole, DemoView
from .pipe import while_read

Key = tuple[str, datetime]
"""Identifies one version of a session, as `CoachingSession.key` does."""

Handle = Callable[[CoachingSession], None]

MOST_SESSIONS = 1_000_000
HISTORY = timedelta(days=30)
DRIVERS = 60
CHANGES_PER_HOUR = 4500.0
PAGE_SIZE = 100
POLL_INTERVAL = 2.0
"""Shorter than the five seconds that Samsara documents, to keep the demo short. In your own
program, leave ``poll_interval`` out."""

INTRO = """\
This is coachstream at work. It needs no token, and nothing leaves this machine:
an emulator of Samsara's API runs in the same process, at {url}.
It holds {sessions} of {drivers} drivers, changed in the last {days} days,
and about one session changes per second. Some requests fail on purpose.
At the end, the demo counts what was lost. To be quick, it polls every
2 seconds; with Samsara, keep the default of 5."""

FAULT_NAMES = {
    "empty_page": "an empty page",
    "refuse": 'a "too many requests"',
    "hang_up": "a lost connection",
}


@click.command("demo")
@click.option(
    "--sessions",
    default=3000,
    show_default=True,
    type=click.IntRange(1, MOST_SESSIONS),
    help="Sessions at the start.",
)
@click.option(
    "--seed", default=1, show_default=True, help="Random seed; another number gives other data."
)
@click.option(
    "--seconds",
    default=15.0,
    show_default=True,
    type=running.Number(0, 3600),
    help="How long to follow live changes.",
)
def command(*, sessions: int, seed: int, seconds: float) -> None:
    """Show the library at work against an emulator on this machine.

    Needs no token and no network. Takes about half a minute. Exits with 1 if a session was lost.
    """
    out = running.output()
    console = DemoConsole(force_terminal=out.isatty())

    async def show() -> int:
        demo = run(console, sessions=sessions, seed=seed, seconds=seconds)
        return 1 if await while_read(out, demo) is False else 0

    running.run(show())


async def run(console: Console, *, sessions: int, seed: int, seconds: float) -> bool:
    """Run the whole demo; return whether nothing was lost."""
    now = SystemClock().now()
    world = World(
        seed,
        drivers=DRIVERS,
        sessions=sessions,
        now=now,
        history=HISTORY,
        changes_per_hour=CHANGES_PER_HOUR,
    )
    view = DemoView(console)
    async with Emulator(world, faults=_faults(sessions), page_size=PAGE_SIZE) as api:
        held = counted(sessions, "coaching session")
        view.print(INTRO.format(url=api.url, sessions=held, drivers=DRIVERS, days=HISTORY.days))
        handled = await _use_library(api, view, since=now - HISTORY, seconds=seconds)
        return _report(api, handled, view)


def _faults(sessions: int) -> list[Fault]:
    """Return the faults during the backfill, spread over its pages."""
    normal = [serve(route="sessions")] * (sessions // PAGE_SIZE // 3)
    too_many = refuse(429, retry_after=1.25, route="sessions")
    return [*normal, empty_page(route="sessions"), *normal, too_many]


def _report(api: Emulator, handled: Counter[Key], view: DemoView) -> bool:
    """Compare what was handled with what the server holds and has served; print the result."""
    latest = api.world.latest()
    served = {key for request in api.requests for key in request.served}
    expected = {(id_, datetime.fromisoformat(stamp)) for id_, stamp in latest | served}
    missing = sorted(expected - handled.keys())
    faults = Counter(r.fault.kind for r in api.requests if r.fault and r.fault.kind != "serve")
    names = ", ".join(FAULT_NAMES[kind] for kind in faults) or "none"
    times = [request.at for request in api.requests if request.path.endswith("/stream")]

    view.heading("Result")
    view.print(f"   sessions   {len(latest):,} on the server at the end")
    view.print(
        f"   versions   {len(expected):,} expected, {len(expected) - len(missing):,} handled"
    )
    view.print(f"   repeats    {handled.total() - len(handled)} delivered again after a resume")
    view.print(
        f"   requests   {len(api.requests)}; for sessions at most {_busiest_second(times)} per "
        "second (limit: 5)"
    )
    view.print(f"   faults     {faults.total()}: {names}")
    if missing:
        id_, stamp = missing[0]
        view.print(f"LOST: {len(missing):,}, such as session {id_} of {stamp}.", "bold red")
    else:
        view.print("Nothing was lost.", "bold green")
    return not missing


def _busiest_second(times: Sequence[float]) -> int:
    """Return the highest number of ``times`` within any one second."""
    return max((sum(at <= t < at + 1 for t in times) for at in times), default=0)


# How to use the library


async def _use_library(
    api: Emulator, view: DemoView, *, since: datetime, seconds: float
) -> Counter[Key]:
    """Return how often each version of a session was handled."""
    handled: Counter[Key] = Counter()
    store: dict[str, bytes] = {}  # in your program: store="sqlite:checkpoints.db"

    def handle(session: CoachingSession) -> None:
        handled[session.key] += 1

    def observe(event: Event) -> None:
        if isinstance(event, RequestStarted):
            view.requests += 1
        if text := _describe(event):
            view.print(f"   ! {text}", "yellow")
        view.refresh()

    async with Client("any-token", base_url=api.url, observer=observe) as client:
        view.heading("Backfill, at the 5 requests per second that Samsara allows")
        stream = client.sessions.stream(
            start_time=since, name="demo", store=store, poll_interval=POLL_INTERVAL
        )
        await _backfill(stream, handle, view, since)

        view.heading("Assign a coach to a driver, then remove the coach")
        await _change_coach(client, api.world.drivers, view)

        api.faults.append(hang_up(route="sessions"))
        if seconds:
            view.heading(f"Live changes, for {seconds:g} s")
            await _follow(stream, handle, view, seconds)

        # Stop the server's clock, so that no more changes come and the stream can catch up.
        api.world.follow(None)
        view.heading("Restart: a new stream resumes from the saved checkpoint")
        await stream.aclose()
        stream = client.sessions.stream(
            start_time=since, name="demo", store=store, poll_interval=POLL_INTERVAL
        )
        async for page in _until_caught_up(stream):
            for session in page.sessions:
                handle(session)
            view.print(f"   not settled before the restart: {len(page.sessions)}")
    return handled


async def _until_caught_up(stream: SessionStream) -> AsyncIterator[Page]:
    """Yield pages until the server has no more for now; the stream itself would continue."""
    async for page in stream.pages():
        yield page
        if not page.has_next_page:
            return


async def _backfill(stream: SessionStream, handle: Handle, view: DemoView, since: datetime) -> None:
    count = 0
    with view.progress() as progress:
        async for page in _until_caught_up(stream):
            for session in page.sessions:
                handle(session)
                count += 1
                # Sessions are ordered by update time, so the time shows the progress.
                progress((session.updated_at_time - since) / HISTORY, counted(count, "session"))
        progress(1.0, counted(count, "session"))


async def _change_coach(client: Client, drivers: Sequence[str], view: DemoView) -> None:
    coaches = {
        assignment.driver.driver_id: assignment.coach_id
        async for assignment in client.assignments.list()
    }
    view.print(f"   {len(coaches)} of {len(drivers)} drivers have a coach")
    driver = next((driver for driver in drivers if driver not in coaches), drivers[0])
    coach = next(coach for coach in coaches.values() if coach is not None)
    assigned = await client.assignments.assign(driver, coach)
    view.print(f"   driver {driver} now has coach {assigned.coach_id}")
    removed = await client.assignments.unassign(driver)
    view.print(f"   driver {driver} now has {removed.coach_id or 'no coach'}")


async def _follow(stream: SessionStream, handle: Handle, view: DemoView, seconds: float) -> None:
    clock = SystemClock()
    end = clock.monotonic() + seconds
    with view.table(stream):
        async for page in stream.pages():
            for session in page.sessions:
                handle(session)
                view.add(session)
            if clock.monotonic() >= end and not page.has_next_page:
                break


def _describe(event: Event) -> str | None:
    """Describe an event that is of interest to a user; None for most events."""
    match event:
        case LimitLowered():
            return (
                f'"too many requests": all requests wait {event.delay:.2f} s, '
                f"then continue at {event.pace:.0%} of the rate"
            )
        case RetryScheduled(error=RateLimitError()):
            return None  # LimitLowered already reports it
        case RetryScheduled():
            lost = isinstance(event.error, ConnectionLostError)
            what = "the connection was lost" if lost else str(event.error)
            when = "immediately" if event.delay < 0.05 else f"in {event.delay:.2f} s"
            return f"{what}; retrying {when}"
        case PageRead(sessions=0, has_next_page=True):
            return "an empty page, but not the end: hasNextPage is true"
        case _:
            return None

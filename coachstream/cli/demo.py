"""What ``coachstream demo`` does: read the past, follow the present, meet trouble, lose nothing.

It is an example, too: from `_use` down to `_into_words`, the library is used as your own program
would use it; what comes before sets up the server.
"""

import sys
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

from . import running
from .demo_view import DemoView

Key = tuple[str, datetime]
"""Names one version of a session, as `CoachingSession.key` does."""

Handle = Callable[[CoachingSession], None]

HISTORY = timedelta(days=30)
DRIVERS = 60
CHANGES_PER_HOUR = 4500.0
PAGE_SIZE = 100
POLL_INTERVAL = 2.0
"""Shorter than the five seconds Samsara documents, because nobody likes to wait for a demo. In a
program of your own, leave ``poll_interval`` out."""

INTRO = """\
This is coachstream at work. It needs no token, and nothing leaves this machine:
a stand-in for Samsara's API runs in here, too, at {url}.
It holds {sessions:,} coaching sessions of {drivers} drivers, changed in the last {days} days,
and about once a second something happens to one of them. Some things go wrong
on purpose. In the end we count what was lost. To be quick, the demo asks every
2 seconds; with Samsara, leave it at 5."""

TROUBLE = {
    "empty_page": "an empty page",
    "refuse": 'a "too many requests"',
    "hang_up": "a connection hung up",
}


@click.command("demo")
@click.option("--sessions", default=3000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True, help="Another one, another company.")
@click.option(
    "--seconds",
    default=15.0,
    show_default=True,
    type=click.FloatRange(0, 3600),
    help="How long to follow what changes.",
)
def command(*, sessions: int, seed: int, seconds: float) -> None:
    """Show the library at work, on this machine alone.

    Needs neither token nor network. Takes about half a minute, and exits with 1 if a session is
    lost on the way.
    """
    console = Console(force_terminal=sys.stdout.isatty())

    async def show() -> int:
        lost_nothing = await run(console, sessions=sessions, seed=seed, seconds=seconds)
        return 0 if lost_nothing else 1

    running.run(show())


async def run(console: Console, *, sessions: int, seed: int, seconds: float) -> bool:
    """Show everything, and return whether nothing was lost."""
    now = SystemClock().now()
    world = World(
        seed,
        drivers=DRIVERS,
        sessions=sessions,
        now=now,
        history=HISTORY,
        changes_per_hour=CHANGES_PER_HOUR,
    )
    screen = DemoView(console)
    async with Emulator(world, faults=_trouble(sessions), page_size=PAGE_SIZE) as api:
        screen.say(INTRO.format(url=api.url, sessions=sessions, drivers=DRIVERS, days=HISTORY.days))
        handled = await _use(api, screen, since=now - HISTORY, seconds=seconds)
        return _verdict(api, handled, screen)


def _trouble(sessions: int) -> list[Fault]:
    """Return what goes wrong while the past is read, spread over its pages."""
    quiet = [serve(route="sessions")] * (sessions // PAGE_SIZE // 3)
    too_many = refuse(429, retry_after=1.25, route="sessions")
    return [*quiet, empty_page(route="sessions"), *quiet, too_many]


def _verdict(api: Emulator, handled: Counter[Key], screen: DemoView) -> bool:
    """Compare what was handled with what the server has and has sent; say what came of it."""
    latest = api.world.latest()
    served = {key for request in api.requests for key in request.served}
    due = {(name, datetime.fromisoformat(stamp)) for name, stamp in latest | served}
    missing = sorted(due - handled.keys())
    met = Counter(r.fault.kind for r in api.requests if r.fault and r.fault.kind != "serve")
    trouble = ", ".join(TROUBLE[kind] for kind in met) or "none"
    asked = [request.at for request in api.requests if request.path.endswith("/stream")]

    screen.heading("The count")
    screen.say(f"   sessions   {len(latest):,} in the server's world at the end")
    screen.say(f"   versions   {len(due):,} to be handled, {len(due) - len(missing):,} handled")
    screen.say(f"   repeats    {handled.total() - len(handled)}, by going on where we left off")
    screen.say(
        f"   requests   {len(api.requests)}; for sessions at most {_busiest_second(asked)} a "
        "second (allowed: 5)"
    )
    screen.say(f"   trouble    {met.total()}: {trouble}")
    if missing:
        name, stamp = missing[0]
        screen.say(f"LOST: {len(missing):,}, such as session {name} of {stamp}.", "bold red")
    else:
        screen.say("Nothing was lost.", "bold green")
    return not missing


def _busiest_second(times: Sequence[float]) -> int:
    """Return the most of these moments, in order, that lie in any one second."""
    return max((sum(at <= t < at + 1 for t in times) for at in times), default=0)


# The library in use


async def _use(api: Emulator, screen: DemoView, *, since: datetime, seconds: float) -> Counter[Key]:
    """Return how often each version of a session was handled."""
    handled: Counter[Key] = Counter()
    store: dict[str, bytes] = {}  # a program of yours says store="sqlite:place.db"

    def handle(session: CoachingSession) -> None:
        handled[session.key] += 1

    def observe(event: Event) -> None:
        if isinstance(event, RequestStarted):
            screen.requests += 1
        if words := _into_words(event):
            screen.say(f"   ! {words}", "yellow")
        screen.refresh()

    async with Client("any-token", base_url=api.url, observer=observe) as client:
        screen.heading("The past, at the 5 requests a second that Samsara allows")
        stream = client.sessions.stream(
            start_time=since, name="demo", store=store, poll_interval=POLL_INTERVAL
        )
        await _read_the_past(stream, handle, screen, since)

        screen.heading("A driver gets a coach, and loses them again")
        await _change_a_coach(client, api.world.drivers, screen)

        api.faults.append(hang_up(route="sessions"))
        if seconds:
            screen.heading(f"The present, for {seconds:g} seconds")
            await _follow(stream, handle, screen, seconds)

        # From here on nothing happens in the server's world, so that there is an end to reach.
        api.world.follow(None)
        screen.heading("A restart: a new stream, which knows only what the first one has saved")
        await stream.aclose()
        stream = client.sessions.stream(
            start_time=since, name="demo", store=store, poll_interval=POLL_INTERVAL
        )
        async for page in _until_caught_up(stream):
            for session in page.sessions:
                handle(session)
            screen.say(f"   {len(page.sessions)} sessions that were not settled before")
    return handled


async def _until_caught_up(stream: SessionStream) -> AsyncIterator[Page]:
    """Yield pages until the server has nothing more for now; the stream itself would go on."""
    async for page in stream.pages():
        yield page
        if not page.has_next_page:
            return


async def _read_the_past(
    stream: SessionStream, handle: Handle, screen: DemoView, since: datetime
) -> None:
    count = 0
    with screen.progress() as progress:
        async for page in _until_caught_up(stream):
            for session in page.sessions:
                handle(session)
                count += 1
                # Sessions come in the order of their updates, so the time tells how far we are.
                progress((session.updated_at_time - since) / HISTORY, f"{count:,} sessions")
        progress(1.0, f"{count:,} sessions")


async def _change_a_coach(client: Client, drivers: Sequence[str], screen: DemoView) -> None:
    coaches = {
        assignment.driver.driver_id: assignment.coach_id
        async for assignment in client.assignments.list()
    }
    screen.say(f"   {len(coaches)} of {len(drivers)} drivers have a coach")
    driver = next((one for one in drivers if one not in coaches), drivers[0])
    coach = next(coach for coach in coaches.values() if coach is not None)
    made = await client.assignments.assign(driver, coach)
    screen.say(f"   driver {driver} is now coached by {made.coach_id}")
    removed = await client.assignments.unassign(driver)
    screen.say(f"   driver {driver} is now coached by {removed.coach_id or 'nobody'} again")


async def _follow(stream: SessionStream, handle: Handle, screen: DemoView, seconds: float) -> None:
    clock = SystemClock()
    end = clock.monotonic() + seconds
    with screen.table(stream):
        async for page in stream.pages():
            for session in page.sessions:
                handle(session)
                screen.add(session)
            if clock.monotonic() >= end and not page.has_next_page:
                break


def _into_words(event: Event) -> str | None:
    """Tell of what a user may want to know; of most events, nothing."""
    match event:
        case LimitLowered():
            return (
                f'told "too many requests": we wait {event.delay:.2f} s, '
                f"then go at {event.pace:.0%} of the speed"
            )
        case RetryScheduled(error=RateLimitError()):
            return None  # the same story, which LimitLowered tells
        case RetryScheduled():
            lost = isinstance(event.error, ConnectionLostError)
            what = "the connection was hung up" if lost else str(event.error)
            soon = "at once" if event.delay < 0.05 else f"in {event.delay:.2f} s"
            return f"{what}; we ask again {soon}"
        case PageRead(sessions=0, has_next_page=True):
            return "an empty page, which is not the end: the server says there is more"
        case _:
            return None

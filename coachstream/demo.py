"""What ``coachstream demo`` does: read the past, follow the present, meet trouble, lose nothing.

It is an example, too. From `_use` down to `_into_words`, the library is used as a program of yours
would use it; what comes before is the server to talk to, what comes after is the picture.
"""

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

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
    ShortPollInterval,
)

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
on purpose. In the end we count what was lost."""

TROUBLE = {
    "empty_page": "an empty page",
    "refuse": 'a "too many requests"',
    "hang_up": "a connection hung up",
}


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
    screen = Screen(console)
    async with Emulator(world, faults=_trouble(sessions), page_size=PAGE_SIZE) as api:
        screen.say(INTRO.format(url=api.url, sessions=sessions, drivers=DRIVERS, days=HISTORY.days))
        handled = await _use(api, screen, since=now - HISTORY, seconds=seconds)
        return _verdict(api, handled, screen)


def _trouble(sessions: int) -> list[Fault]:
    """Return what goes wrong while the past is read, spread over its pages."""
    quiet = [serve(route="sessions")] * (sessions // PAGE_SIZE // 3)
    too_many = refuse(429, retry_after=1.25, route="sessions")
    return [*quiet, empty_page(route="sessions"), *quiet, too_many]


def _verdict(api: Emulator, handled: Counter[Key], screen: "Screen") -> bool:
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
        f"   requests   {len(api.requests)}; of those for sessions, {_busiest_second(asked)} "
        "in the busiest second (Samsara allows 5)"
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


async def _use(api: Emulator, screen: "Screen", *, since: datetime, seconds: float) -> Counter[Key]:
    """Return how often each version of a session was handled."""
    handled: Counter[Key] = Counter()

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
        stream = client.sessions.stream(start_time=since, poll_interval=POLL_INTERVAL)
        await _read_the_past(stream, handle, screen, since)

        screen.heading("A driver gets a coach, and loses them again")
        await _change_a_coach(client, api.world.drivers, screen)

        api.faults.append(hang_up(route="sessions"))
        if seconds:
            screen.heading(f"The present, for {seconds:g} seconds")
            await _follow(stream, handle, screen, seconds)

        # From here on nothing happens in the server's world, so that there is an end to reach.
        api.world.follow(None)
        screen.heading("A restart: a new stream goes on where the first one was left")
        position = stream.position
        await stream.aclose()
        stream = client.sessions.stream(
            start_time=since, after=position.cursor, poll_interval=POLL_INTERVAL
        )
        async for page in _until_caught_up(stream):
            for session in page.sessions:
                handle(session)
            screen.say(f"   {len(page.sessions)} sessions on the page after the saved position")
    return handled


async def _until_caught_up(stream: SessionStream) -> AsyncIterator[Page]:
    """Yield pages until the server has nothing more for now; the stream itself would go on."""
    async for page in stream.pages():
        yield page
        if not page.has_next_page:
            return


async def _read_the_past(
    stream: SessionStream, handle: Handle, screen: "Screen", since: datetime
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


async def _change_a_coach(client: Client, drivers: Sequence[str], screen: "Screen") -> None:
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


async def _follow(stream: SessionStream, handle: Handle, screen: "Screen", seconds: float) -> None:
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
        case ShortPollInterval():
            return f"asking every {event.poll_interval:g} s; Samsara's own API wants 5 s or more"
        case _:
            return None


# The picture


class Screen:
    """Shows what happens: a moving picture in a terminal, plain lines anywhere else."""

    def __init__(self, console: Console) -> None:
        self.requests = 0
        self._console = console
        self._moving = console.is_terminal and not console.is_dumb_terminal
        self._chapter = 0
        self._live: Live | None = None
        self._stream: SessionStream | None = None
        self._rows: deque[tuple[str, ...]] = deque(maxlen=10)

    def say(self, text: str, style: str | None = None) -> None:
        """Print a line, above what moves."""
        # Only a terminal has a width; in a file or a pipe a line stays one.
        self._console.print(
            text, style=style, markup=False, highlight=False, soft_wrap=not self._moving
        )

    def heading(self, text: str) -> None:
        """Begin a chapter."""
        self._chapter += 1
        self.say(f"\n{self._chapter}. {text}", "bold")

    @contextmanager
    def progress(self) -> Iterator[Callable[[float, str], None]]:
        """Yield what moves a bar: call it with the share that is done, and words."""
        if not self._moving:
            yield self._tell_each_fifth()
            return
        columns = (
            TextColumn("  "),
            BarColumn(48),
            TaskProgressColumn(),
            TextColumn("{task.fields[words]}"),
        )
        with Progress(*columns, console=self._console) as bar:
            task = bar.add_task("", total=1.0, words="")
            yield lambda share, words: bar.update(task, completed=share, words=words)

    def _tell_each_fifth(self) -> Callable[[float, str], None]:
        told = 0

        def tell(share: float, words: str) -> None:
            nonlocal told
            if int(share * 5) > told:
                told = int(share * 5)
                self.say(f"   {words}, {share:.0%} of the time")

        return tell

    @contextmanager
    def table(self, stream: SessionStream) -> Iterator[None]:
        """Show the sessions that are added, newest first, and how the stream is."""
        self._stream = stream
        if not self._moving:
            yield
            return
        with Live(self._drawn(), console=self._console, auto_refresh=False) as live:
            self._live = live
            try:
                yield
            finally:
                self.refresh()
                self._live = None  # what is told while all ends must not draw it again

    def add(self, session: CoachingSession) -> None:
        """Take a session into the table."""
        row = _row(session)
        self._rows.appendleft(row)
        if not self._moving:
            self.say("   {}  {:<8}  {}  {:<9}  {}  (coach: {})".format(*row))

    def refresh(self) -> None:
        """Draw the table anew, if there is one."""
        if self._live is not None:
            self._live.update(self._drawn(), refresh=True)

    def _drawn(self) -> Table:
        assert self._stream is not None
        state = self._stream.health.state
        table = Table(
            caption=f"the stream is {state}; {self.requests} requests so far",
            width=self._console.width - 4,  # room for the ^C that a terminal echoes
        )
        for name in ("when (UTC)", "driver", "session", "status"):
            table.add_column(name, no_wrap=True)
        table.add_column("behaviours", no_wrap=True, ratio=1)
        table.add_column("coach", no_wrap=True)
        for row in self._rows:
            table.add_row(*row)
        return table


def _row(session: CoachingSession) -> tuple[str, ...]:
    behaviors = ", ".join(one.coachable_behavior_type for one in session.behaviors)
    return (
        f"{session.updated_at_time:%H:%M:%S}",
        session.driver.driver_id,
        session.id[:8],
        session.session_status,
        behaviors or "-",
        session.assigned_coach_id or session.completed_coach_id or "-",
    )

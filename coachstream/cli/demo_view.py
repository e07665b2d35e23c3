"""What the demo shows: a moving picture in a terminal, plain lines anywhere else."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from coachstream import CoachingSession, SessionStream


class DemoView:
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

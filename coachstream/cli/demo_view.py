"""The output of the demo: a live display in a terminal, plain lines elsewhere."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from coachstream import CoachingSession, SessionStream

from ..text import counted


class DemoConsole(Console):
    """A console that does not exit when nobody reads it any more: the command ends by itself."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class DemoView:
    """Shows the progress: a live display in a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.requests = 0
        self._console = console
        self._is_live = console.is_terminal and not console.is_dumb_terminal
        self._section = 0
        self._live: Live | None = None
        self._stream: SessionStream | None = None
        self._rows: deque[tuple[str, ...]] = deque(maxlen=10)

    def print(self, text: str, style: str | None = None) -> None:
        """Print a line, above the live display."""
        # Only a terminal has a width; lines in a file or pipe must not wrap.
        self._console.print(
            text, style=style, markup=False, highlight=False, soft_wrap=not self._is_live
        )

    def heading(self, text: str) -> None:
        """Print the heading of the next section."""
        self._section += 1
        self.print(f"\n{self._section}. {text}", "bold")

    @contextmanager
    def progress(self) -> Iterator[Callable[[float, str], None]]:
        """Yield a function that updates a progress bar with the share done and a text."""
        if not self._is_live:
            yield self._print_each_fifth()
            return
        columns = (
            TextColumn("  "),
            BarColumn(48),
            TaskProgressColumn(),
            TextColumn("{task.fields[text]}"),
        )
        with Progress(*columns, console=self._console) as bar:
            task = bar.add_task("", total=1.0, text="")
            yield lambda share, text: bar.update(task, completed=share, text=text)

    def _print_each_fifth(self) -> Callable[[float, str], None]:
        printed = 0

        def update(share: float, text: str) -> None:
            nonlocal printed
            if int(share * 5) > printed:
                printed = int(share * 5)
                self.print(f"   {text}, {share:.0%} of the period")

        return update

    @contextmanager
    def table(self, stream: SessionStream) -> Iterator[None]:
        """Show the sessions that are added, newest first, and the state of the stream."""
        self._stream = stream
        if not self._is_live:
            yield
            return
        with Live(self._draw_table(), console=self._console, auto_refresh=False) as live:
            self._live = live
            try:
                yield
            finally:
                self.refresh()
                self._live = None  # events during shutdown must not redraw it

    def add(self, session: CoachingSession) -> None:
        """Add a session to the table."""
        row = _row(session)
        self._rows.appendleft(row)
        if not self._is_live:
            self.print("   {}  {:<8}  {}  {:<9}  {}  (coach: {})".format(*row))

    def refresh(self) -> None:
        """Redraw the table, if it is shown."""
        if self._live is not None:
            self._live.update(self._draw_table(), refresh=True)

    def _draw_table(self) -> Table:
        assert self._stream is not None
        state = self._stream.health.state
        table = Table(
            caption=f"the stream is {state}; {counted(self.requests, 'request')} so far",
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

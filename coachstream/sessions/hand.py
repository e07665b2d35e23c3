"""What a stream has handed out, and how much of it is settled. Pure, no I/O."""

from collections.abc import Callable
from typing import Protocol
from weakref import ref

from ..errors import StreamInUseError
from ..progress.frontier import Frontier, OpenPage
from ..wire.pages import Entry

IN_USE = (
    "another loop reads this stream, too, and would settle what this one has in hand; to handle "
    "many sessions at once, use consume()"
)


class Loop(Protocol):
    """One ``async for`` over a stream."""

    begun: bool
    current: bool
    """Whether no newer one has begun."""


def _no_loop() -> None:
    """Stand in for a reference to a loop that no longer exists."""


class Hand:
    """The pages in hand: one, or with ``settle="ack"`` all that were not acknowledged yet."""

    __slots__ = (
        "_acked",
        "_ahead",
        "_before",
        "_loop",
        "_older",
        "by_ack",
        "entries",
        "held",
        "next",
        "page",
    )

    def __init__(self, *, by_ack: bool) -> None:
        self.by_ack = by_ack
        """Whether only `ack` settles, and not asking for the next session."""
        self.page: OpenPage | None = None
        self.entries: tuple[Entry, ...] = ()
        """The sessions of that page."""
        self.next = 0
        """How many of them were handed out."""
        self.held = 0
        """How many of those, the last ones, the user may still be at."""
        self._before: list[OpenPage] = []  # handed out as a whole, and not acknowledged
        self._ahead: list[OpenPage] = []  # to be handed out once more
        self._acked = 0  # how many sessions of the oldest page in hand are acknowledged
        # The loop that began last, and the one before it; each only as long as it exists.
        self._loop: Callable[[], Loop | None] = _no_loop
        self._older: Callable[[], Loop | None] = _no_loop

    def begin(self, loop: "Loop") -> None:
        """Hand out to a newer loop from now on.

        What an older one may still be at is handed out once more, because nobody has finished it. A
        loop that was left no longer exists, and what it had in hand counts as finished.

        Raises:
            StreamInUseError: a newer loop has begun since this one did.
        """
        if loop.begun:
            raise StreamInUseError(IN_USE)
        if (older := self._loop()) is not None:
            older.current = False
            self._rewind()
        self._older, self._loop = self._loop, ref(loop)
        loop.begun = loop.current = True

    def check_no_loop(self) -> None:
        """Check that a step outside of all loops disturbs none.

        Raises:
            StreamInUseError: there is a loop.
        """
        if self._loop() is not None:
            raise StreamInUseError(IN_USE)

    def settle(self, frontier: Frontier) -> None:
        """Settle what the user has finished, if that can be told without `ack`."""
        if self.page is not None and not self.by_ack:
            frontier.settle_first(self.page, self.next - self.held)

    def ack(self, frontier: Frontier) -> None:
        """Settle all that was handed out.

        Raises:
            StreamInUseError: an older loop exists, to which some of it was handed out.
        """
        if self._older() is not None:
            raise StreamInUseError(IN_USE)
        self.held = 0
        for page in self._before:
            frontier.settle_first(page, len(page.reading.entries))
        self._before.clear()
        if self.page is not None:
            frontier.settle_first(self.page, self.next)
            self._acked = self.next

    def turn(self, frontier: Frontier) -> bool:
        """Put the page in hand away; return whether there is another to hand out once more."""
        self.held = 0
        self.settle(frontier)
        if self.page is not None and self.page.left:
            self._before.append(self.page)
        if not self._before:
            self._acked = 0
        self.page, self.entries, self.next = None, (), 0
        if self._ahead:
            self.take(self._ahead.pop(0))
        return self.page is not None

    def take(self, page: OpenPage) -> None:
        """Take a page to hand out."""
        self.page, self.entries, self.next = page, page.reading.entries, 0

    @property
    def unfinished(self) -> bool:
        """Whether something in hand is not settled."""
        return bool(self._before) or (self.page is not None and self.page.left > 0)

    def _rewind(self) -> None:
        if not self.by_ack:
            self.next -= self.held
        elif self.unfinished:
            pages = [*self._before, *([self.page] if self.page else []), *self._ahead]
            self.take(pages[0])
            self.next, self._before, self._ahead = self._acked, [], pages[1:]
        self.held = 0

"""Saves how far a stream has come, beside the loop that reads it."""

import asyncio
from collections.abc import Callable

import anyio

from ..models import Position
from ..progress.checkpointer import INTERVAL, Checkpointer
from ..tasks import Runtime


class Saver:
    """Saves once a second while a loop has something in hand, and at once when it has caught up."""

    def __init__(
        self,
        checkpointer: Checkpointer,
        *,
        position: Callable[[], Position],
        unfinished: Callable[[], bool],
        runtime: Runtime,
    ) -> None:
        self._checkpointer = checkpointer
        self._position = position
        self._unfinished = unfinished
        self._runtime = runtime
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raise why the last save failed for good, once; the next one tries again."""
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            if not task.cancelled():
                task.result()

    def begin(self, *, at_once: bool = False) -> None:
        """Save from now on, until all that is in hand is settled and saved.

        After a save that failed for good, nothing is saved until `check` has raised why.
        """
        if at_once:
            self._hurry.set()
        if self._task is None:
            self._task = self._runtime.tasks.start(self._save_regularly())

    async def stop(self) -> None:
        """Save no more; a save that is under way may have happened or not."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    async def _save_regularly(self) -> None:
        while True:
            with anyio.move_on_after(INTERVAL):
                await self._hurry.wait()
            self._hurry.clear()
            if not self._checkpointer.in_transaction:
                await self._checkpointer.save(self._position())
            if not self._unfinished():
                self._task = None
                return

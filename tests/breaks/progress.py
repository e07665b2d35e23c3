"""Deliberate breaks of ``progress``."""

from tests.breaks.mutation import Mutation

CHECKPOINTER = ("tests/progress/test_checkpointer.py",)

MUTATIONS = (
    Mutation(
        "no position is past an unfinished page",
        "progress/frontier",
        "while self._pages and not self._pages[0].left:",
        "while self._pages:",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "the watermark is no later than unsettled sessions",
        "progress/frontier",
        "        return min(highest, waiting)",
        "        return highest",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "sessions before an expired cursor are remembered",
        "progress/frontier",
        "self._recent.extend(one for one in passed if one not in recent)",
        "self._recent.extend(())",
        ("tests/progress/test_frontier.py",),
    ),
    Mutation(
        "a second consumer of the same name is stopped",
        "progress/revisions",
        "        if not ours:\n            return False",
        "        if not ours:\n            self.stored(found)\n            return True",
        ("tests/consumer/test_consume.py", "tests/sessions/test_stream.py"),
    ),
    Mutation(
        "a cancelled close saves all the same",
        "progress/checkpointer",
        "            await close_all(closers, self._runtime, within=LAST_SAVE)",
        "            [await closer() for closer in closers]",
        (*CHECKPOINTER, "tests/sessions/test_saving.py"),
    ),
    Mutation(
        "a load has a time limit",
        "progress/checkpointer",
        "within=STORE_TIMEOUT",
        "within=None",
        CHECKPOINTER,
    ),
    Mutation(
        "what cannot mend is raised at once",
        "progress/checkpointer",
        "                    if isinstance(error, HOPELESS) or self._patience.is_over(",
        "                    if self._patience.is_over(",
        CHECKPOINTER,
    ),
    Mutation(
        "patience with the store counts from the first failure",
        "progress/checkpointer",
        "failing_since = now if failing_since is None else failing_since",
        "failing_since = now",
        CHECKPOINTER,
    ),
    Mutation(
        "waiting for the store ends when nobody asks it",
        "progress/checkpointer",
        "        finally:\n            self._answers.set()",
        "        finally:\n            pass",
        CHECKPOINTER,
    ),
    Mutation(
        "the last save says what failed",
        "progress/checkpointer",
        "            raise self._last_failure or late from None",
        "            raise late from None",
        CHECKPOINTER,
    ),
    Mutation(
        "the last save leaves time to close the store",
        "progress/checkpointer",
        "                with anyio.move_on_after(LAST_SAVE - CLOSE_STORE) as scope:",
        "                with anyio.move_on_after(LAST_SAVE * 9) as scope:",
        CHECKPOINTER,
    ),
    Mutation(
        "closing leaves an open transaction alone",
        "progress/checkpointer",
        "            if position is not None and not self.in_transaction:",
        "            if position is not None:",
        CHECKPOINTER,
    ),
    Mutation(
        "a transaction that is tried again commits the position",
        "progress/checkpointer",
        "        self._saved = None\n",
        "        self._saved = position\n",
        CHECKPOINTER,
    ),
    Mutation(
        "which revision is stored is read on the caller's connection",
        "progress/checkpointer",
        "await self._find_out(position, on=connection)",
        "await self._find_out(position)",
        CHECKPOINTER,
    ),
    Mutation(
        "what was rolled back is not saved with what came after it",
        "progress/revisions",
        "later[-1].position != hash(position)",
        "later[-1].position is None",
        CHECKPOINTER,
    ),
    Mutation(
        "several saves in one transaction are known when it is rolled back",
        "progress/revisions",
        "        if save != self._saves[-1]:",
        "        if not self.in_transaction:",
        CHECKPOINTER,
    ),
)

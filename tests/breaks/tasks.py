"""Deliberate breaks of ``tasks``."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a blocked loop is reported",
        "tasks/runtime",
        "        if lag > NOTICEABLE_LAG:",
        "        if lag > 1e9:",
        ("tests/guarantees/test_it_never_stalls_in_silence.py",),
    ),
    Mutation(
        "a call that is overdue is reported",
        "tasks/supervision",
        "self._timer = self._loop.call_later(OVERDUE, self._report)",
        "self._timer = self._loop.call_later(1e9, self._report)",
        ("tests/guarantees/test_what_you_give_may_hang.py",),
    ),
    Mutation(
        "a call is cancelled once, and then has time for its clean-up",
        "tasks/supervision",
        "            if not (is_first and task.cancelling()):\n                task.cancel()",
        "            task.cancel()",
        ("tests/tasks/test_supervision.py",),
    ),
    Mutation(
        "what hangs while all is closed is left behind",
        "tasks/supervision",
        "    cancelled = await _until_done(tasks, within)",
        "    cancelled = await _until_done(tasks, 1e6)",
        ("tests/tasks/test_supervision.py", "tests/guarantees/test_what_you_give_may_hang.py"),
    ),
    Mutation(
        "what must not be cut in two is finished",
        "tasks/supervision",
        "            await _until_done((task,), finish_within)",
        "            await _until_done((task,), 0)",
        ("tests/tasks/test_supervision.py",),
    ),
    Mutation(
        "a scope of anyio ends by no cancellation but its own",
        "tasks/cancellation",
        "        await anyio.sleep_forever()  # a",
        "        raise asyncio.CancelledError  # a",
        ("tests/tasks/test_cancellation.py",),
    ),
    Mutation(
        "what is closed starts nothing",
        "tasks/background",
        "        self._closed = True\n",
        "        pass\n",
        ("tests/tasks/test_background.py",),
    ),
    Mutation(
        "what is left behind lives until it ends",
        "tasks/background",
        "        self._left_behind.add(task)\n",
        "",
        ("tests/tasks/test_background.py",),
    ),
    Mutation(
        "a result is given once",
        "tasks/background",
        "        if self._task is task:\n            self._task = None\n",
        "",
        ("tests/tasks/test_background.py",),
    ),
    Mutation(
        "a failure that nobody waits for is not logged by asyncio",
        "tasks/background",
        "        drop_exception(task)  # whoever",
        "        pass  # whoever",
        ("tests/tasks/test_background.py",),
    ),
    Mutation(
        "a failure says more than that something else hung",
        "tasks/supervision",
        "    failures.sort(key=lambda failure: isinstance(failure, TimeoutError))\n",
        "",
        ("tests/tasks/test_supervision.py",),
    ),
    Mutation(
        "a StopAsyncIteration ends no loop",
        "tasks/supervision",
        '        raise RuntimeError(f"{what} raised StopAsyncIteration") from stop',
        "        raise",
        ("tests/tasks/test_supervision.py",),
    ),
    Mutation(
        "a cancellation waits for the thread's work",
        "tasks/threads",
        "            if not submitted.cancel():",
        "            if False:",
        ("tests/tasks/test_threads.py",),
    ),
)

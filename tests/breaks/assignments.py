"""Deliberate breaks of ``assignments``."""

from tests.breaks.mutation import Mutation

_TESTS = ("tests/assignments/test_endpoint.py",)

MUTATIONS = (
    Mutation(
        "an error of a change names its own driver alone",
        "assignments/endpoint",
        "raise _naming(copy(error), driver_id, coach_id) from error.__cause__",
        "raise _naming(error, driver_id, coach_id) from error.__cause__",
        _TESTS,
    ),
    Mutation(
        "an empty page of assignments moves the cursor",
        "assignments/listing",
        "        self._cursor = cursor\n",
        "        self._cursor = cursor if page else self._cursor\n",
        _TESTS,
    ),
    Mutation(
        "a malformed assignment does not end the list",
        "assignments/listing",
        "            self._page.popleft()  # raised once",
        "            self._page.clear()  # raised once",
        _TESTS,
    ),
    Mutation(
        "two tasks can't read one list",
        "tasks/exclusive",
        "        if self._busy:",
        "        if False:",
        _TESTS,
    ),
    Mutation(
        "a list that nobody holds stops asking",
        "assignments/listing",
        "        self._fetching.abandon()\n",
        "        self._ended = True\n",
        _TESTS,
    ),
    Mutation(
        "a change is not made again for its response",
        "assignments/endpoint",
        "                if await self._is_denied(driver_id, coach_id):",
        "                if True:",
        _TESTS,
    ),
    Mutation(
        "a change that was not made is made again",
        "assignments/endpoint",
        "        return coach_id not in (coaches or [None])\n",
        "        return False\n",
        _TESTS,
    ),
    Mutation(
        "changes of one driver are made one at a time",
        "assignments/endpoint",
        "self._changing.setdefault(driver_id, asyncio.Lock())",
        "self._changing.setdefault(query, asyncio.Lock())",
        _TESTS,
    ),
    Mutation(
        "changes of different drivers do not wait for each other",
        "assignments/endpoint",
        "self._changing.setdefault(driver_id, asyncio.Lock())",
        "self._changing.setdefault(PATH, asyncio.Lock())",
        _TESTS,
    ),
    Mutation(
        "a list whose cursor is not new is a loop",
        "assignments/listing",
        "(not cursor or cursor in self._seen_cursors)",
        "(not cursor)",
        ("tests/assignments/test_endpoint.py",),
    ),
    Mutation(
        "a list that says more without a cursor is a loop",
        "assignments/listing",
        "(not cursor or cursor in self._seen_cursors)",
        "(cursor in self._seen_cursors)",
        ("tests/assignments/test_endpoint.py",),
    ),
    Mutation(
        "another driver's coach denies nothing",
        "assignments/endpoint",
        " if one.driver.driver_id == driver_id]",
        "]",
        ("tests/assignments/test_endpoint.py",),
    ),
)

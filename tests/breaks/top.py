"""Deliberate breaks of the modules at the top."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "an object with an async __call__ is async",
        "arguments",
        "    return is_kind(value) or is_kind(call)\n",
        "    return is_kind(value)\n",
        ("tests/test_arguments.py",),
    ),
    Mutation(
        "True is no number",
        "arguments",
        "    if isinstance(value, bool) or not isinstance(value, int | float):\n",
        "    if not isinstance(value, int | float):\n",
        ("tests/test_arguments.py",),
    ),
    Mutation(
        "a class is no object",
        "arguments",
        "        if isinstance(value, type) or not callable(",
        "        if not callable(",
        ("tests/test_arguments.py",),
    ),
    Mutation(
        "only None stands for a default",
        "arguments",
        "    return kind() if value is None else instance_of(argument, value, kind)\n",
        "    return instance_of(argument, value, kind) if value else kind()\n",
        ("tests/test_arguments.py",),
    ),
    Mutation(
        "no repr of a session shows its notes",
        "models",
        '            ("driver_id", self.driver.driver_id),\n',
        '            ("session_note", self.session_note),\n',
        ("tests/test_brief.py",),
    ),
    Mutation(
        "no event shows what a handler quotes",
        "event",
        "brief_error(value) if isinstance(value, BaseException) else value",
        "value",
        ("tests/test_brief.py",),
    ),
    Mutation(
        "no log line shows what a handler quotes",
        "observers/logging",
        "    if isinstance(event, _OF_A_STORE):\n",
        "    if hasattr(event, 'error'):\n",
        ("tests/test_brief.py",),
    ),
    Mutation(
        "Retry-After is a minimum",
        "retry",
        "return max(random.uniform(0.0, ceiling), at_least or 0.0)",
        "return random.uniform(0.0, ceiling)",
        ("tests/test_retry.py",),
    ),
    Mutation(
        "a call gives up rather than wait for a day",
        "retry",
        "or (self.total is not None and total > self.total)",
        "",
        ("tests/test_retry.py", "tests/http/test_transport.py"),
    ),
    Mutation(
        "give_up_after counts for calls, too",
        "retry",
        "Patience(attempts=self.attempts, seconds=self._give_up_after, total=total)",
        "Patience(attempts=self.attempts, total=total)",
        ("tests/test_retry.py", "tests/http/test_transport.py"),
    ),
    Mutation(
        "a server's words steer no terminal",
        "text",
        "one if one.isprintable() else _escaped(one)",
        "one",
        ("tests/test_text.py", "tests/wire/test_refusals.py"),
    ),
    Mutation(
        "a server's words are cut",
        "text",
        "return shown if len(shown) <= longest else",
        "return shown if shown else",
        ("tests/test_text.py", "tests/wire/test_refusals.py"),
    ),
)

"""Deliberate breaks of the modules at the top of the package."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
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

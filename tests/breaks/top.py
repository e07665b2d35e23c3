"""Deliberate breaks of the modules at the top."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "no repr of a session shows its notes",
        "models",
        "            (\"driver_id\", self.driver.driver_id),\n",
        "            (\"session_note\", self.session_note),\n",
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
)

"""Deliberate breaks of ``retry``."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "Retry-After is a minimum",
        "retry",
        "return max(random.uniform(0.0, ceiling), at_least or 0.0)",
        "return random.uniform(0.0, ceiling)",
        ("tests/test_retry.py",),
    ),
)

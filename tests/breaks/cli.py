"""Deliberate breaks of ``cli``."""

from tests.breaks.mutation import Mutation

_TESTS = ("tests/cli/test_commands.py",)

MUTATIONS = (
    Mutation(
        "errors have no escape sequences",
        "cli/running",
        "raise click.ClickException(one_line(str(error))) from None",
        "raise click.ClickException(str(error)) from None",
        _TESTS,
    ),
)

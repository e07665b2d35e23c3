"""Deliberate breaks of ``cli`` and ``testing``: what people run."""

from tests.breaks.mutation import Mutation

_TESTS = ("tests/cli/test_commands.py",)

MUTATIONS = (
    Mutation(
        "the fixture samsara runs in real time",
        "testing/pytest_coachstream",
        '{"page_size": 20, "now": SystemClock().now()}',
        '{"page_size": 20}',
        ("tests/testing/test_plugin.py",),
        "test_the_fixture_runs_in_real_time",
    ),
    Mutation(
        "NaN is no number for an option",
        "cli/running",
        "        if math.isnan(number):\n",
        "        if math.isinf(number):\n",
        _TESTS,
        "test_an_odd_number_is_refused_in_words_that_name_the_option",
    ),
    Mutation(
        "a closed output is reported",
        "cli/running",
        "    if sys.stdout is None:\n",
        "    if sys.stdin is None:\n",
        _TESTS,
    ),
    Mutation(
        "what is no JSON is written as a string",
        "cli/tail",
        '        line = msgspec.json.encode(entry.raw.decode(errors="replace"))\n',
        "        line = entry.raw\n",
        _TESTS,
        "test_tail_writes_what_is_no_json_as_a_json_string",
    ),
    Mutation(
        "errors have no escape sequences",
        "cli/running",
        "raise click.ClickException(one_line(str(error))) from None",
        "raise click.ClickException(str(error)) from None",
        _TESTS,
    ),
)

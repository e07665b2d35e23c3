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
        "in_options(one_line(str(error)))",
        "in_options(str(error))",
        _TESTS,
    ),
    Mutation(
        "errors name the options",
        "cli/running",
        "    return _ARGUMENTS.sub(lambda match: OPTIONS[match[0]], text)\n",
        "    return text\n",
        _TESTS,
    ),
    Mutation(
        "Ctrl-C prints how to continue",
        "cli/tail",
        "if verbose or (interrupted and cursor):",
        "if verbose:",
        _TESTS,
    ),
    Mutation(
        "an untrusted certificate ends a command",
        "cli/connection",
        "            scope.cancel()\n",
        "",
        ("tests/cli/test_connection.py",),
    ),
    Mutation(
        "plain HTTP never takes a proxy",
        "cli/connection",
        '    if url.scheme == "http" or proxy_bypass(url.host):\n',
        "    if proxy_bypass(url.host):\n",
        ("tests/cli/test_connection.py",),
    ),
    Mutation(
        "the emulator's log shows no unknown parameter",
        "cli/request_log",
        'value if name in DOCUMENTED else "***"',
        "value",
        ("tests/cli/test_emulate.py",),
    ),
    Mutation(
        "the emulator's faults are applied again and again",
        "cli/emulate",
        "            emulator.faults.extend(faults)\n",
        "            pass\n",
        ("tests/cli/test_emulate.py",),
    ),
    Mutation(
        "an emulator that others can reach says so",
        "cli/emulate",
        '        click.echo("Warning: other machines can connect to it.", err=True)\n',
        "",
        ("tests/cli/test_commands.py",),
        "test_an_emulator_that_other_machines_can_reach_says_so_and_how_this_one_does",
    ),
    Mutation(
        "a signal shows in the exit code",
        "cli/running",
        "        return 128 + received[0]",
        "        return 0",
        ("tests/cli/test_commands.py",),
        "test_the_demo_stops_on_a_signal",
    ),
)

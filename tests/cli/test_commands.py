"""The command line, mostly as a shell runs it: in its own process, with pipes and signals."""

import asyncio
import io
import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from coachstream import CoachStreamError, Page, SystemClock
from coachstream.cli import demo, main, running
from coachstream.emulator import Emulator, World, malformed_session, refuse
from tests.cli.processes import ENVIRONMENT, SELF, TIMEOUT, finish, run, run_in_thread, start
from tests.support import payloads


def lines_of(err: str) -> list[str]:
    return err.splitlines()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a running `coachstream emulate`, with several pages of history and no changes."""
    server = start(
        *("emulate", "--port", "0", "--sessions", "400", "--changes-per-hour", "0"),
        *("--token", "tok-tok-token"),
    )
    assert server.stdout is not None
    server.stdout.readline()
    usage = server.stdout.readline()
    yield usage.split()[-1]
    server.send_signal(signal.SIGTERM)
    code, out, err = finish(server)
    assert (code, out) == (143, "")
    assert all(
        re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \d{3} GET /", line) for line in lines_of(err)
    )
    assert "  100 sessions  startTime=" in err


# all


@pytest.mark.parametrize("command", ["tail", "demo"])
def test_a_closed_output_is_reported_in_one_line(command):
    done = subprocess.run(  # runs only this package
        ["/bin/sh", "-c", '"$@" >&-', "sh", *SELF, command],
        check=False,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 2
    assert lines_of(done.stderr) == ["Error: the standard output is closed."]


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("demo", "--seconds"),
        ("demo", "--sessions"),
        ("emulate", "--speed"),
        ("emulate", "--changes-per-hour"),
        ("emulate", "--sessions"),
        ("emulate", "--drivers"),
        ("tail", "--poll-interval"),
    ],
)
@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e300", "-1", f"1{'0' * 400}"])
def test_an_odd_number_is_refused_in_words_that_name_the_option(command, option, number):
    if (option, number) == ("--poll-interval", "1e300"):
        return  # as good as for ever
    result = CliRunner(env=ENVIRONMENT).invoke(main, [command, option, number])
    assert result.exit_code == 2, result.output
    assert option in result.stderr
    assert result.stdout == ""


def test_more_changes_than_the_emulator_can_make_are_refused():
    fast = ["--speed", "10000", "--changes-per-hour", "3600"]
    result = CliRunner().invoke(main, ["emulate", *fast])
    assert result.exit_code == 2
    assert "--speed and --changes-per-hour" in result.stderr


def test_an_error_has_no_escape_sequences():
    @main.command("odd")
    def odd():
        async def fail():
            raise CoachStreamError("one\x1b[2J\x07two\r\nthree\x9b31m")

        running.run(fail())

    try:
        result = CliRunner().invoke(main, ["odd"])
    finally:
        main.commands.pop("odd")
    assert result.exit_code == 1
    assert result.stderr == "Error: one [2J two three 31m\n"


async def test_a_refusal_shows_no_escape_sequences():
    body = json.dumps({"message": "no \x1b]0;x\x07 such\x1b[2Jthing", "requestId": "\x1b[1mr"})
    async with Emulator(World(sessions=0), faults=[refuse(403, body=body)] * 2) as api:
        code, _, err = await run_in_thread("tail", "--base-url", api.url)
    assert code == 1
    assert err.splitlines()[-1].startswith("Error: ")
    assert err.splitlines()[-1].isprintable()


@pytest.mark.parametrize("command", [[], ["checkpoint"], ["demo"], ["emulate"], ["tail"]])
def test_every_command_has_a_short_option_for_its_help(command):
    result = CliRunner().invoke(main, [*command, "-h"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "-h, --help" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "..." not in result.stdout.partition("Commands:")[2], "a summary that is cut off"


# demo


def test_the_demo_loses_nothing_and_writes_plain_lines_to_a_pipe():
    code, out, err = run("demo", "--sessions", "150", "--seconds", "0")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "Nothing was lost."
    assert "faults     3:" in out
    assert "\x1b" not in out


def test_the_demo_ends_without_a_word_when_its_reader_is_gone():
    process = start("demo", "--sessions", "150", "--seconds", "20")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    code, _, err = finish(process)
    assert (code, err) == (0, "")


def test_the_demo_fails_when_a_session_is_lost(monkeypatch, capfd):
    monkeypatch.setattr(Page, "sessions", property(lambda page: page.entries[1:]))
    with pytest.raises(SystemExit) as caught:
        main(["demo", "--sessions", "150", "--seconds", "0"])
    assert caught.value.code == 1
    assert "LOST" in capfd.readouterr().out.splitlines()[-1]


async def test_the_demo_draws_a_table_in_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=80)
    assert await demo.run(console, sessions=150, seed=3, seconds=0.1)
    assert "behaviours" in terminal.getvalue()
    assert "the stream is idle" in terminal.getvalue()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_demo_stops_on_a_signal(number, code):
    process = start("demo")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    assert finish(process)[::2] == (code, "")


# emulate


def test_an_emulator_that_other_machines_can_reach_says_so_and_how_this_one_does():
    everywhere = "0.0.0.0"  # noqa: S104  # that is the point
    server = start("emulate", "--host", everywhere, "--port", "0", "--sessions", "0")
    assert server.stdout is not None
    server.stdout.readline()
    assert "--base-url http://127.0.0.1:" in server.stdout.readline()
    server.send_signal(signal.SIGTERM)
    assert finish(server) == (143, "", "Warning: other machines can connect to it.\n")


def test_a_port_in_use_is_reported_in_one_line(url):
    code, out, err = run("emulate", "--port", url.rpartition(":")[2])
    assert (code, out) == (1, "")
    assert len(lines_of(err)) == 1
    assert "address already in use" in err


# tail: what it writes


def test_tail_writes_each_session_on_a_line_in_the_order_of_the_feed(url):
    code, out, err = run("tail", "--base-url", url, "--since", "90d", "--until", "0m")
    assert (code, err) == (0, "")
    sessions = [json.loads(line) for line in out.splitlines()]
    assert len({session["id"] for session in sessions}) == 400
    stamps = [session["updatedAtTime"] for session in sessions]
    assert stamps == sorted(stamps)


def test_tail_passes_its_filters_on(url):
    options = ["--status", "deleted", "--status", "completed", "--external-ids", "--events"]
    code, out, err = run("tail", "--base-url", url, "--since", "90d", "--until", "0m", *options)
    assert (code, err) == (0, "")
    sessions = [json.loads(line) for line in out.splitlines()]
    assert {session["sessionStatus"] for session in sessions} == {"deleted", "completed"}
    assert any("externalIds" in session["driver"] for session in sessions)
    assert any("coachableEvents" in one for session in sessions for one in session["behaviors"])


def resumption(err: str) -> list[str]:
    """Return the arguments of the command that was printed last, to continue with."""
    introduction, command = lines_of(err)[-2:]
    assert introduction == "To continue from here:"
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "coachstream", "tail"]
    return words[3:]


def test_tail_resumes_from_the_position_it_printed(url):
    command = ["tail", "--base-url", url, "-v"]
    code, out, err = run(*command, "--since", "90d", "--until", "0m")
    assert code == 0
    position = resumption(err)
    assert "--after" in position
    code, rest, _ = run(*position)
    assert code == 0
    assert len(rest) < len(out)
    assert out.endswith(rest)


async def test_tail_writes_fields_that_the_library_does_not_know():
    world = World(sessions=0, changes_per_hour=0, now=SystemClock().now())
    world.add_session(id="s-1", sessionNote="two\nlines", extra={"mood": {"score": 0.5}})
    async with Emulator(world) as api:
        code, out, err = await run_in_thread("tail", "--base-url", api.url, "--until", "0m")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1
    assert json.loads(out)["mood"] == {"score": 0.5}
    assert json.loads(out)["sessionNote"] == "two\nlines"


async def test_tail_writes_a_malformed_session_and_logs_a_warning():
    world = World(sessions=5, changes_per_hour=0, now=SystemClock().now())
    async with Emulator(world, faults=[malformed_session()]) as api:
        code, out, err = await run_in_thread(
            "tail", "--base-url", api.url, "--since", "90d", "--until", "0m"
        )
    assert code == 0
    written = [json.loads(line) for line in out.splitlines()]
    assert [session["id"] for session in written] == [s["id"] for s in world.sessions()]
    assert written[0]["updatedAtTime"] == "yesterday"
    assert len(lines_of(err)) == 1
    assert "malformed session" in err


async def test_tail_writes_what_is_no_json_as_a_json_string():
    odd = b'{"id":"7","severity":NaN}'
    body = payloads.page(payloads.SESSION, "odd", hasNextPage=False).replace(b'"odd"', odd)
    async with Emulator(World(sessions=0), faults=[refuse(200, body=body)]) as api:
        code, out, _ = await run_in_thread("tail", "--base-url", api.url, "--until", "0m")
    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == [payloads.SESSION, odd.decode()]


# tail: how it ends


@pytest.mark.parametrize("status", ["upcoming", "deleted"])
def test_tail_ends_when_its_reader_is_gone(url, status):
    """With "deleted", everything is written before the reader goes, and nothing follows."""
    process = start("tail", "--base-url", url, "--since", "90d", "--status", status)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["sessionStatus"] == status
    process.stdout.close()
    process.stdout = None
    code, _, err = finish(process)
    assert (code, err) == (0, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_tail_stops_on_a_signal_in_the_middle_of_a_page(url, number, code):
    """It blocks, because the pipe is full; the rest of it stays unread."""
    process = start("tail", "--base-url", url, "--since", "90d", "--events")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    try:
        assert process.wait(TIMEOUT) == code
    finally:
        err = finish(process)[2]
    assert err == "", "no page is written yet, so there is no cursor"


async def test_tail_prints_on_ctrl_c_how_to_continue_with_all_options():
    world = World(sessions=5, changes_per_hour=0, now=SystemClock().now())
    async with Emulator(world) as api:
        options = ["--base-url", api.url, "--status", "deleted", "--status", "completed"]
        process = start("tail", *options, "--since", "90d", "--events", "--poll-interval", "0.1")
        while len(api.requests) < 3:  # by then, the first page is written
            await SystemClock().sleep(0.05)
        process.send_signal(signal.SIGINT)
        code, out, err = await asyncio.to_thread(finish, process)
    assert code == 130
    assert out
    words = resumption(err)
    assert {*options, "--after", "--events", "--poll-interval"} < {*words}
    assert words.count("--status") == 2
    assert "90d" not in words, "that means another time when it is repeated"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_reported_in_one_line(url):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # runs only this package
            [*SELF, "tail", "--base-url", url, "--since", "90d"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            text=True,
            timeout=TIMEOUT,
        )
    assert done.returncode == 1
    assert len(lines_of(done.stderr)) == 1
    assert "No space left" in done.stderr


# tail: its errors


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--driver-id", "a,b"], "--driver-id"),
        (["--coach-id", ""], "--coach-id"),
        (["--since", "1h", "--until", "2h"], "is before --since"),
        (["--region", "eu", "--base-url", "http://127.0.0.1"], "either --base-url or --region"),
        (["--poll-interval", "0"], "--poll-interval"),
        (["--base-url", "http://example.com"], "--allow-http"),
        (["--api-version", "no version"], "--api-version"),
    ],
)
def test_a_bad_option_is_reported_in_one_line_that_names_it(arguments, named):
    result = CliRunner(env=ENVIRONMENT).invoke(main, ["tail", *arguments])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(lines_of(result.stderr)) == 1
    assert named in result.stderr
    assert "_" not in result.stderr, "the names of Python's arguments"


def test_a_missing_token_is_reported_in_one_line_with_the_variable():
    result = CliRunner(env={"SAMSARA_API_TOKEN": None}).invoke(main, ["tail"])
    assert result.exit_code == 2
    assert lines_of(result.stderr) == [
        "Error: SAMSARA_API_TOKEN is not set. Set it to your API token."
    ]


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ('"tok-tok-token"', "is in quotation marks"),
        ("Bearer tok-tok-token", 'begins with "Bearer "'),
        ("\n", "is empty"),
    ],
)
def test_a_token_that_can_only_be_a_mistake_is_reported_before_it_is_sent(token, problem):
    result = CliRunner(env={"SAMSARA_API_TOKEN": token}).invoke(main, ["tail"])
    assert result.exit_code == 2
    assert f"Error: SAMSARA_API_TOKEN {problem}" in result.stderr


def test_a_line_break_after_the_token_is_left_out_with_a_warning(url):
    """And the server of SAMSARA_BASE_URL is asked."""
    env = {"SAMSARA_API_TOKEN": "tok-tok-token\r\n", "SAMSARA_BASE_URL": url}
    code, out, err = run("tail", "--since", "90d", "--until", "0m", env=env)
    assert (code, len(out.splitlines())) == (0, 400)
    (line,) = lines_of(err)
    assert "SAMSARA_API_TOKEN ended with a line break" in line


def test_a_refused_token_is_reported_in_one_line_without_the_token(url):
    code, out, err = run("tail", "--base-url", url, env={"SAMSARA_API_TOKEN": "another-token"})
    assert (code, out) == (1, "")
    (line,) = lines_of(err)
    assert line.startswith("Error: ")
    assert ": 401: " in line
    assert "another-token" not in line


def test_a_wrong_path_is_reported_in_one_line_that_names_the_options(url):
    code, out, err = run("tail", "--base-url", f"{url}/v2")
    assert (code, out) == (1, "")
    (line,) = lines_of(err)
    assert ": 404: " in line
    assert "check --base-url and --region" in line


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_the_error_shows_how_to_install_it(missing):
    script = f"import sys; sys.modules['{missing}'] = None; from coachstream.cli import main"
    done = subprocess.run(  # runs only this package
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert lines_of(done.stderr) == [
        f"the command line needs {missing}: pip install 'coachstream[cli]'"
    ]

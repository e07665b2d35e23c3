"""``coachstream emulate``: its log, and its faults."""

import asyncio
import os
import pty
import signal
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from coachstream.cli import emulate, main
from coachstream.cli.request_log import MOST_LINES, RequestLog, request_line
from coachstream.emulator import (
    Request,
    cut_short,
    empty_page,
    hang_up,
    oversize,
    refuse,
    serve,
    slow,
    stall,
)
from tests.cli.processes import finish, run, start

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
STREAM = "/coaching/sessions/stream"


def request(**changes):
    fields: dict[str, Any] = {
        "at": 0.0,
        "now": NOW,
        "method": "GET",
        "path": STREAM,
        "query": {"startTime": "2026-02-01T00:00:00Z"},
        "raw_query": "",
        "headers": {},
        "status": 200,
        "fault": None,
        "served": (),
    }
    return Request(**(fields | changes))


def line(**changes):
    return request_line(request(**changes), width=None, colored=False)


def test_a_line_says_when_what_was_asked_and_what_was_sent():
    one = line(served=(("a", "b"),))
    assert one == (
        "2026-03-01 08:00:00 200 GET /coaching/sessions/stream  1 session  "
        "startTime=2026-02-01T00:00:00Z"
    )
    assert "  0 sessions  " in line()
    assert "  0 sessions (fault: empty_page)  " in line(fault=empty_page())
    assert "  (fault: refuse)  " in line(status=429, fault=refuse(429))
    assert line(status=0, fault=hang_up()).startswith("2026-03-01 08:00:00   - GET ")
    assert line(method="PUT", path="/coaching/driver-coach-assignments", query={}) == (
        "2026-03-01 08:00:00 200 PUT /coaching/driver-coach-assignments"
    )


def test_a_line_shows_no_unknown_parameter_and_nothing_that_steers_a_terminal():
    shown = line(path="/x\x1b[2J\ny", query={"token": "secret", "after": "c\x1b[1m\n"})
    assert "secret" not in shown
    assert shown.isprintable()


def test_a_line_fits_the_terminal_and_is_coloured_there_only():
    long = {"after": "c" * 200}
    shown = request_line(request(query=long), width=80, colored=False)
    assert len(shown) == 80
    assert shown.endswith("…")
    assert len(line(query=long)) > 200
    for status, color in ((200, "\x1b[32m"), (429, "\x1b[33m"), (503, "\x1b[31m")):
        assert color in request_line(request(status=status), width=80, colored=True)


def open_terminal():
    ours, theirs = pty.openpty()
    return ours, open(theirs, "w")  # noqa: PTH123  # by its number


@pytest.mark.parametrize("no_color", [False, True])
async def test_the_log_is_coloured_on_a_terminal_unless_that_is_unwanted(no_color, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    ours, terminal = open_terminal()
    log = RequestLog()
    log.add(request())
    writing = asyncio.create_task(log.write(terminal))
    shown = await asyncio.to_thread(os.read, ours, 1000)
    writing.cancel()
    with terminal:
        assert ("\x1b[" in shown.decode()) is not no_color
        assert "GET" in shown.decode()
    os.close(ours)


async def test_a_full_log_holds_up_no_request_and_ends_when_nobody_reads_it(monkeypatch):
    reading, writing = os.pipe()
    log = RequestLog()
    with open(writing, "w") as out:  # noqa: ASYNC230, PTH123  # by its number
        task = asyncio.create_task(log.write(out))
        for _ in range(MOST_LINES + 10):  # more than the pipe and the log hold
            log.add(request())
        first = await asyncio.to_thread(os.read, reading, 1 << 16)
        assert b"GET" in first
        assert "\x1b" not in first.decode()
        os.close(reading)
        await task


def test_faults_are_applied_again_and_again_to_pages_of_the_size_that_was_asked_for():
    options = "--port 0 --sessions 6 --changes-per-hour 0 --latency 0.01 --page-size 2"
    server = start("emulate", *options.split(), "--faults", "serve,503")
    assert server.stdout is not None
    server.stdout.readline()
    url = server.stdout.readline().split()[-1]
    code, out, _ = run("tail", "--base-url", url, "--since", "90d", "--until", "0m")
    assert (code, len(out.splitlines())) == (0, 6)
    server.send_signal(signal.SIGINT)
    code, _, err = finish(server)
    assert code == 130
    assert [line.split()[2] for line in err.splitlines()] == ["200", "503", "200", "503", "200"]
    assert err.count("  2 sessions  ") == 3


def test_faults_are_listed_by_name():
    listed = "serve:2,429:0.5,503,hang-up, cut_short:7 ,slow,stall:2,oversize:9,serve"
    with emulate.command.make_context("emulate", ["--faults", listed]) as context:
        assert context.params["faults"] == [
            *(serve(), serve(), refuse(429, retry_after=0.5), refuse(503), hang_up()),
            *(cut_short(7), slow(5.0), stall(2.0), oversize(9), serve()),
        ]


@pytest.mark.parametrize(
    "word", ["", "sloow", "200", "hang_up:1", "slow:-1", "slow:nan", "serve:99999", "slow:1e9"]
)
def test_an_unknown_fault_is_refused_with_the_list_of_all(word):
    result = CliRunner().invoke(main, ["emulate", "--faults", f"serve,{word}"])
    assert result.exit_code == 2
    assert f"'--faults': '{word}' is not one of these" in result.stderr
    assert "cut_short:BYTES" in result.stderr

"""Commands where the names that Windows lacks are taken away.

None of this has run on a real Windows.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.processes import ENVIRONMENT, finish

ROOT = Path(__file__).parents[2]
SCRIPT = """
import pytest
from tests.support.windows import take_away
take_away(pytest.MonkeyPatch())
from coachstream.cli import main
main()
"""


def start(*arguments):
    command = [sys.executable, "-W", "error", "-c", SCRIPT, *arguments]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd=ROOT,
        text=True,
    )


@pytest.fixture
def emulator():
    process = start("emulate", "--port", "0", "--sessions", "30", "--changes-per-hour", "0")
    yield process
    process.kill()
    process.communicate()


def test_the_feed_is_printed_and_ctrl_c_ends_a_command(emulator):
    url = emulator.stdout.readline().split()[4].rstrip(".")
    code, out, err = finish(
        start("tail", "--base-url", url, "--since", "200w", "--until", "2026-01-01T00:00:00Z")
    )
    assert (code, err) == (0, "")
    assert all(json.loads(line)["id"] for line in out.splitlines())
    emulator.send_signal(signal.SIGINT)
    code, _, err = finish(emulator)
    assert code == 128 + signal.SIGINT
    assert "Traceback" not in err

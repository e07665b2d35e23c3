"""The search of all output finds every planted token and note, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from coachstream.emulator import content
from tests.support import leaks, payloads
from tests.support.emulated import TOKEN

NOTE = content.NOTES[0]
PLANTED = {
    "out": f"print('{TOKEN}')",
    "error output": f"print('Bearer {TOKEN}', file=sys.stderr)",
    "log": f"logging.getLogger('elsewhere').warning('%s', '{TOKEN}')",
    "fine-grained log": f"logging.getLogger('coachstream.requests').debug('%s', '{TOKEN}')",
    "logged traceback": """
    try:
        raise KeyError(TOKEN)
    except KeyError:
        logging.getLogger('coachstream.feed').exception('failed')""",
    "failure": f"assert 'x' == '{TOKEN}'",
    "exception": f"raise RuntimeError('{TOKEN}')",
    "event": "observe(StreamEnded(error=ValueError(TOKEN)))",
    "request id": """
    observe(RequestFinished(
        route='', attempt=1, status=200, seconds=1.0, size=1, request_id=f'Bearer {TOKEN}'))""",
    "note": f"print({NOTE!r})",
    "note in a log": f"logging.getLogger('coachstream.feed').debug('%s', {NOTE!r})",
    "note in the arguments of a log": f"""
    logging.getLogger('coachstream.feed').debug('%(n)d', dict(n=1, note={NOTE!r}))""",
    "note in an event": f"observe(TokenUnknown(name={NOTE!r}))",
    "foreign note": 'print(\'{"note": "\\\\u30b7\\\\u30fc\\\\u30c8\\\\u30d9\\\\u30eb\\\\u30c8"}\')',
    "session": """print('{"id": "1", "sessionNote": ""}')""",
    "repr of a session": """print("Session(id='1', session_note='')")""",
    "behaviors": """print('{"behaviors":[]}')""",
}
CLEAN = {
    "nothing": "pass",
    "some output": "print('token-for-tests', file=sys.stderr); print('t-o-k-e-n')",
    "some log": "logging.getLogger('coachstream.requests').warning('Bearer ***')",
    "some event": "observe(StreamEnded(error=ValueError('***')))",
    "the place of a fault": "print('expected `str` - at `$.behaviors[...].coachableBehaviorType`')",
    "an error that quotes": f"observe(StreamEnded(error=ValueError({NOTE!r})))",
}
HEAD = f"""
import logging, sys
import coachstream.client
from coachstream.telemetry import Event, RequestFinished, StreamEnded

TOKEN = "{TOKEN}"


class TokenUnknown(Event, frozen=True, kw_only=True):
    name: str


def observe(event):
    coachstream.client.guarded(lambda event: None)(event)

"""


def function(name: str) -> str:
    return f"test_{name.replace(' ', '_').replace('-', '_')}"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    """Run a test per plant and per clean output, under the plugin: their outcomes and output."""
    tests = [
        f"def {function(name)}():\n    {body.strip()}\n"
        for name, body in [*PLANTED.items(), *CLEAN.items()]
    ]
    folder = tmp_path_factory.mktemp("planted")
    (folder / "test_planted.py").write_text(HEAD + "\n\n".join(tests))
    (folder / "pytest.ini").write_text("[pytest]\n")
    plugins = ("tests.support.leaks", "no:cacheprovider", "no:hypothesispytest")
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *(f"-p{one}" for one in plugins)),
            *("-c", str(folder / "pytest.ini"), "-v", str(folder)),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    results = {
        line.partition("::")[2].split()[0]: line.split()[1]
        for line in result.stdout.splitlines()
        if "::" in line and line.endswith("%]")
    }
    return results, result.stdout + result.stderr


def test_every_planted_leak_is_found_and_not_shown_again(ran):
    results, output = ran
    assert {results[function(name)] for name in PLANTED} == {"FAILED"}, output
    assert output.count("shows the token or a note, in: ") >= len(PLANTED)
    assert not leaks.leaks(output)
    assert not leaks.shows_notes(output)


def test_clean_output_passes(ran):
    results, output = ran
    assert {results[function(name)] for name in CLEAN} == {"PASSED"}, output


def test_the_search_is_on(request: pytest.FixtureRequest):
    assert request.config.pluginmanager.is_registered(leaks)
    assert TOKEN in leaks.SECRETS


def test_every_note_in_the_sessions_of_tests_is_searched_for():
    for note in (*content.NOTES, payloads.SESSION["sessionNote"]):
        assert leaks.shows_notes(note) == bool(note)
        assert leaks.shows_notes(json.dumps(note)) == bool(note)
        assert leaks.shows_notes(repr(note)) == bool(note)

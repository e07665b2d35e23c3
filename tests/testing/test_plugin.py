"""The pytest plugin and the example project, run by pytest as if coachstream were installed."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytest_asyncio.plugin

import coachstream

ROOT = Path(__file__).parents[2]
PACKAGE = Path(coachstream.__file__).parent
EXAMPLE = ROOT / "examples" / "testing"
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())


def blocks(page):
    """The code on a page that test_readme.py does not run."""
    return re.findall(r"^```py\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def plugin_source():
    """The plugin's file: in a checkout, or where it was installed."""
    in_checkout = PACKAGE / "testing" / "pytest_coachstream.py"
    if in_checkout.exists():
        return in_checkout
    spec = find_spec("pytest_coachstream")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


@pytest.fixture
def run(tmp_path):
    """Run pytest in a project of its own, with the plugin installed as pip installs it."""
    site, project = tmp_path / "site", tmp_path / "project"
    info = site / "coachstream_plugin-0.dist-info"
    info.mkdir(parents=True)
    project.mkdir()
    [(name, module)] = CONFIG["project"]["entry-points"]["pytest11"].items()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: coachstream_plugin\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n")
    shutil.copy(plugin_source(), site / f"{module}.py")

    def run_pytest(files, *arguments):
        for name, text in files.items():
            (project / name).write_text(text)
        command = [sys.executable, "-m", "pytest", "--strict-markers"]
        command += ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # takes long to import
        command += ["-W", "error", "-o", "asyncio_default_fixture_loop_scope=function"]
        return subprocess.run(
            [*command, *arguments],
            cwd=project,
            env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{PACKAGE.parent}"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run_pytest


def counts(result):
    """The counts that pytest ends with, such as "2 passed"."""
    found = re.search(r"(\d+ (?:passed|failed|error).*) in ", result.stdout.splitlines()[-1])
    assert found, result.stdout + result.stderr
    return found[1]


READ = """
import asyncio
from datetime import timedelta

import pytest

from coachstream import Client

async def read(samsara):
    async with Client("any", base_url=samsara.url) as client:
        start, end = samsara.now - timedelta(days=100), samsara.now + timedelta(days=1)
        stream = client.sessions.stream(start_time=start, end_time=end)
        return [session async for session in stream]
"""

SYNC = """
def test_plain(samsara):
    assert len(asyncio.run(read(samsara))) == 50
    assert [len(one.served) for one in samsara.requests] == [20, 20, 10]
"""
ASYNC = """
async def test_async(samsara):
    samsara.world.add_session()
    assert len(await read(samsara)) == 51
"""
ANYIO = "\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"


@pytest.mark.parametrize(
    ("tests", "arguments"),
    [
        pytest.param(ASYNC, ["-o", "asyncio_mode=auto"], id="pytest-asyncio auto"),
        pytest.param("\n@pytest.mark.asyncio" + ASYNC, [], id="pytest-asyncio strict"),
        pytest.param(ANYIO + "\n@pytest.mark.anyio" + ASYNC, [], id="anyio"),
    ],
)
def test_the_fixture_serves_every_kind_of_test(run, tests, arguments):
    assert counts(run({"test_it.py": READ + SYNC + tests}, *arguments)) == "2 passed"


REAL_TIME = """
import asyncio
from datetime import timedelta

from coachstream import Client, SystemClock

def test_a_stream_by_the_real_clock_finds_the_sessions(samsara):
    now = SystemClock().now()

    async def read():
        async with Client("any", base_url=samsara.url) as client:
            stream = client.sessions.stream(start_time=now - timedelta(days=91), end_time=now)
            return [session.updated_at_time async for session in stream]

    times = asyncio.run(read())
    assert len(times) == 50
    assert all(now - timedelta(days=91) < time <= now for time in times)
    assert abs(samsara.now - now) < timedelta(minutes=1)
"""


def test_the_fixture_runs_in_real_time(run):
    assert counts(run({"test_it.py": REAL_TIME})) == "1 passed"


MARKED = """
import pytest

from coachstream.testing import Profile, refuse

pytestmark = pytest.mark.samsara(sessions=3, drivers=2, faults=[refuse(503)])

class TestMarked:
    @pytest.mark.samsara(sessions=4, profile=Profile(versions="every"))
    @pytest.mark.parametrize("turn", [1, 2])
    def test_the_closest_marker_wins_and_each_test_has_a_world_of_its_own(self, samsara, turn):
        assert (len(samsara.world.sessions()), len(samsara.world.drivers)) == (4, 2)
        assert list(samsara.faults) == [refuse(503)]
        samsara.faults.clear()
        samsara.world.add_session()

@pytest.mark.samsara(world=None)
def test_a_world_that_tests_would_share(samsara): ...

@pytest.mark.samsara(sesions=4)
def test_a_slip(samsara): ...
"""


def test_a_marker_passes_arguments_to_the_fixture(run):
    result = run({"test_it.py": MARKED})
    assert counts(result) == "2 passed, 2 errors"
    # Not as a line of the plugin's source, which a traceback shows, too.
    assert re.search(r"^E .*takes the world's own arguments, by name", result.stdout, re.MULTILINE)
    assert "unexpected keyword argument 'sesions'" in result.stdout


CHEAP = """
import sys

def test_nothing_is_imported_that_is_not_used():
    assert "pytest_coachstream" in sys.modules
    assert not {"coachstream", "msgspec"} & set(sys.modules)
"""


def test_pytest_starts_without_importing_coachstream(run):
    assert counts(run({"test_it.py": CHEAP})) == "1 passed"
    assert (
        "fixture 'samsara' not found"
        in run(
            {"test_it.py": "def test_without(samsara): ..."}, "-p", "no:pytest_coachstream"
        ).stdout
    )


SUITES = """
import pytest

from coachstream import MemoryLedger
from coachstream.checkpoints import MappingStore
from coachstream.testing.contracts import LedgerContract, StoreContract

class TestMine(StoreContract):
    @pytest.fixture
    def make_store(self):
        stored = {}
        return lambda: MappingStore(stored)

class TestForgotten(StoreContract): ...

class TestBad(LedgerContract):
    @pytest.fixture
    def make_ledger(self):
        return MemoryLedger
"""


def test_a_suite_reports_a_missing_fixture_and_failed_values(run):
    result = run({"test_it.py": SUITES}, "-k", "reopening")
    assert re.fullmatch(r"1 failed, 1 passed, \d+ deselected, 1 error", counts(result))
    assert "override the fixture make_store" in result.stdout
    assert re.search(r"E  +(AssertionError: )?assert \[\] == \[FailedSess", result.stdout)


def test_the_example_project_passes_on_its_own(run):
    files = {path.name: path.read_text() for path in EXAMPLE.iterdir() if path.is_file()}
    assert re.fullmatch(r"\d+ passed", counts(run(files)))


def test_the_code_on_the_pages_works(run):
    [shown] = [block for block in blocks(ROOT / "docs" / "testing.md") if "(samsara" in block]
    every = [shown, *blocks(EXAMPLE / "README.md")]
    [recipe] = [block for block in every if "pytest_asyncio_loop_factories" in block]
    every.remove(recipe)
    files = {f"test_block_{number}.py": block for number, block in enumerate(every)}
    assert len(files) == 6
    files["payroll.py"] = (EXAMPLE / "payroll.py").read_text()
    assert re.fullmatch(r"\d+ passed", counts(run(files, "--import-mode=prepend")))


FAST = """
import asyncio

import pytest

from coachstream.testing import pass_time

@pytest.mark.asyncio(loop_factories=["fast"])
async def test_fast():
    await pass_time(3600)
"""


@pytest.mark.skipif(
    not hasattr(pytest_asyncio.plugin.PytestAsyncioSpecs, "pytest_asyncio_loop_factories"),
    reason="needs pytest-asyncio 1.4 for its loop factories",
)
def test_the_pages_recipe_for_pytest_asyncio_works(run):
    [recipe] = [one for one in blocks(EXAMPLE / "README.md") if "loop_factories" in one]
    assert counts(run({"conftest.py": recipe, "test_it.py": FAST})) == "1 passed"


def test_the_wheel_has_the_plugin_beside_the_package():
    [name] = CONFIG["project"]["entry-points"]["pytest11"].values()
    placed = CONFIG["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert placed == {f"coachstream/testing/{name}.py": f"{name}.py"}
    assert plugin_source().name == f"{name}.py"

"""The code that people copy is run: of the README and the pages in docs."""

import asyncio
import re
import sys
import textwrap
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import coachstream
from coachstream import Client, SystemClock
from coachstream.emulator import Emulator, World
from tests.support.emulated import TOKEN

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
]
PROGRAMS = [block for block in BLOCKS if "asyncio.run(" in block]
FRAGMENTS = [block for block in BLOCKS if "asyncio.run(" not in block]
NOW = datetime.now(UTC)  # noqa: TID251  # the README's code uses the current time


@pytest.fixture
def world(monkeypatch):
    """Return a world whose time is now, and set a token."""
    monkeypatch.setenv("SAMSARA_API_TOKEN", TOKEN)
    return World(sessions=300, now=NOW, changes_per_hour=0)


async def read_enough(program, api):
    """Run an endless program until it has read everything and polled once more."""
    task = asyncio.ensure_future(program)
    with suppress(asyncio.CancelledError):
        while not task.done() and sum(not one.served for one in api.requests) < 1:
            await SystemClock().sleep(0.05)
        assert not task.done() or task.exception() is None
        task.cancel()
        await task


@pytest.mark.parametrize("code", PROGRAMS, ids=lambda code: code.strip().splitlines()[-1])
async def test_the_readmes_programs_run(code, world, monkeypatch, capsys):
    async with Emulator(world, token=TOKEN, speed=0) as api:
        monkeypatch.setenv("SAMSARA_BASE_URL", api.url)
        programs: list[Coroutine[None, None, None]] = []
        monkeypatch.setattr(asyncio, "run", programs.append)
        exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102  # as the test intends
        (program,) = programs
        await read_enough(program, api)
        served = sum(len(request.served) for request in api.requests)
        assert len(capsys.readouterr().out.splitlines()) == served > 0


async def run_fragment(code, world):
    # The README's ids are made up.
    code = code.replace("6112", world.drivers[0]).replace("772", world.coaches[0])
    source = f"async def fragment(client):\n{textwrap.indent(code, '    ')}"
    names = {**vars(coachstream), "datetime": datetime, "timedelta": timedelta, "UTC": UTC}
    names["since"] = NOW - timedelta(days=1)  # as in the README's first program
    exec(compile(source, "README.md", "exec"), names)  # noqa: S102  # as the test intends
    async with Emulator(world, token=TOKEN, speed=0) as api, Client(base_url=api.url) as client:
        await names["fragment"](client)


@pytest.mark.parametrize("code", FRAGMENTS, ids=lambda code: code.strip().splitlines()[-1])
async def test_the_readmes_fragments_run(code, world, monkeypatch, tmp_path, capsys):
    """Those that save the position get on when they are run again."""
    monkeypatch.chdir(tmp_path)
    await run_fragment(code, world)
    if "store=" in code:
        first = capsys.readouterr().out.splitlines()
        await run_fragment(code, world)
        second = capsys.readouterr().out.splitlines()
        assert first
        assert second != first


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    assert targets or page.name == "reference.md"
    missing = [target for target in targets if not (page.parent / target).exists()]
    if not (ROOT / "coachstream").exists():  # the installed package is under test, not a checkout
        missing = [target for target in missing if "coachstream/" not in target]
    assert missing == []


def test_the_readme_and_the_metadata_agree():
    assert sys.version_info >= (3, 11)
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()
    assert "3.11 and later" in " ".join(README.split())

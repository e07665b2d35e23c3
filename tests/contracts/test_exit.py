"""A handler that calls ``sys.exit()`` ends the process soon, with that code and the place saved."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from coachstream import FileLedger
from coachstream.checkpoints import opened

ROOT = Path(__file__).parents[2]
SOON = 15
"""Seconds, with the start of Python on a busy machine."""


def run(*arguments):
    """Run the process to its end, and return the ids that it has handled."""
    command = [sys.executable, "-m", "tests.contracts.exiting", *arguments]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=SOON, check=False
    )
    assert ended.returncode == 3, ended.stderr
    return ended.stdout.split()


def saved(url):
    async def load():
        async with opened(url) as store:
            return await store.load("it")

    found = asyncio.run(load())
    return {session_id for session_id, *_ in found.position.settled}


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_with_a_store(kind, tmp_path):
    url = f"{kind}:{tmp_path / 'state'}"
    handled = run(url)
    assert len(handled) == 9
    assert saved(url) == set(handled)


def test_with_a_ledger(tmp_path):
    url, path = f"sqlite:{tmp_path / 'state'}", tmp_path / "failed.jsonl"
    handled = run(url, str(path))
    assert len(handled) == 9
    assert saved(url) == set(handled)

    async def parked():
        return {one.session_id async for one in FileLedger(path).list()}

    assert asyncio.run(parked()) >= set(handled)


def test_while_a_driver_is_imported_for_the_first_time():
    assert run("redis://127.0.0.1:1") == []


def test_although_the_disk_hangs(tmp_path):
    assert len(run(f"sqlite:{tmp_path / 'state'}", "hang")) == 9

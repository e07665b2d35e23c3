"""A process is killed repeatedly in the middle of saving."""

import asyncio
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from coachstream.checkpoints import Checkpoint, opened
from tests.contracts.storages import EMBEDDED

ROOT = Path(__file__).parents[2]
ROUNDS = 6


@pytest.fixture(params=EMBEDDED)
def url(request, tmp_path) -> str:
    return f"{request.param}:{tmp_path / 'state'}"


def saver(url: str, name: str = "payroll") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.contracts.saver", url, name]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen[str]) -> list[str]:
    """Kill the process; return the rest of its output."""
    process.kill()
    rest, _ = process.communicate()
    return rest.splitlines()


async def load(url: str, name: str = "payroll") -> Checkpoint:
    async with opened(url) as store:
        found = await store.load(name)
    assert found is not None
    return found


def next_line(process: subprocess.Popen[str]) -> str:
    """The next line of its output; empty if it has ended."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_what_was_acknowledged_survives_a_kill_in_the_middle_of_saves(url):
    random = Random(7)
    acknowledged = 0
    for _ in range(ROUNDS):
        process = saver(url)
        for _ in range(random.randint(1, 12)):
            acknowledged = int(next_line(process))
        if random.random() < 0.5:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(random.random() / 50)  # somewhere within a save
        for line in kill(process):
            acknowledged = int(line)
        found = asyncio.run(load(url))
        # One more may be stored: saved, but not printed yet.
        assert found.revision in {acknowledged, acknowledged + 1}
        assert (found.position.cursor or "").startswith(str(found.revision))
        acknowledged = found.revision


def test_of_two_processes_on_one_name_one_fails(url):
    """Both save in a loop after their own last revision, so one of them must fail."""
    first, second = saver(url), saver(url)
    try:
        lines = {process: next_line(process) for process in (first, second)}
        for process in (first, second):
            if not lines[process]:
                assert process.wait(30) == 1
        while first.poll() is None and second.poll() is None:
            next_line(first)
            next_line(second)
    finally:
        rest = [kill(first), kill(second)]
    assert 1 in {first.returncode, second.returncode}, rest


def test_processes_that_start_at_once_on_empty_storage_all_succeed(url):
    savers = [saver(url, f"name {n}") for n in range(4)]
    try:
        for process in savers:
            assert [int(next_line(process)) for _ in range(3)] == [1, 2, 3]
    finally:
        for process in savers:
            kill(process)
    for n in range(4):
        assert asyncio.run(load(url, f"name {n}")).revision >= 3

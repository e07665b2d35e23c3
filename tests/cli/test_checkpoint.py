"""``coachstream checkpoint``: positions are seen, moved, copied and forgotten."""

import asyncio
import io
import json
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest

from coachstream import Client, Position, RateLimits, consume
from coachstream.checkpoints import opened
from coachstream.cli import main
from coachstream.emulator import Emulator, World
from tests.support.emulated import LONG_AGO, TOKEN, key

AUDIT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+@\S+ "
AT_ONCE = ("--watch", "0")
END = datetime(2026, 3, 2, tzinfo=UTC)
"""Before the emulator's present."""


@pytest.fixture(params=["sqlite", "file"])
def url(request, tmp_path):
    return f"{request.param}:{tmp_path / 'state'}"


@pytest.fixture
def run(capsys, monkeypatch):
    """Returns a function that runs a command, and returns its code, output and errors."""
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def run_one(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["checkpoint", *arguments])
        return ended.value.code or 0, *capsys.readouterr()

    return run_one


def follow(url, name="payroll", start=LONG_AGO):
    """Consume a feed of forty sessions to its end, and return the keys of those delivered."""

    async def work():
        done = []

        async def handle(session):
            done.append(session)

        world = World(sessions=40, changes_per_hour=0)
        async with (
            Emulator(world, sessions_per_second=None) as api,
            Client(TOKEN, base_url=api.url, rate_limits=RateLimits(sessions=None)) as client,
        ):
            stream = client.sessions.stream(start_time=start, end_time=END)
            await consume(stream, handle, name=name, store=url)
        return done

    return asyncio.run(work())


def test_a_place_is_listed_and_shown(url, run):
    delivered = follow(url)
    follow(url, "other")
    code, out, err = run("list", "--store", url)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["other", "payroll"]
    assert re.search(r"\trevision \d+, settled up to 2026-\d\d-\d\dT", lines[1])
    code, out, _ = run("show", "payroll", "--store", url)
    assert code == 0
    shown = dict(line.split(": ", 1) for line in out.splitlines())
    assert shown["name"] == "payroll"
    assert shown["settled up to"] == str(max(one.updated_at_time for one in delivered))
    assert shown["expired cursor"] == "none"


def test_a_place_is_moved_back_and_what_changed_since_is_delivered_again(url, run):
    delivered = follow(url)
    assert follow(url) == []
    to = sorted(one.updated_at_time for one in delivered)[30]
    code, out, err = run("rewind", "payroll", "--to", to.isoformat(), "--store", url, *AT_ONCE)
    assert (code, out) == (0, "")
    assert re.search(AUDIT + r"rewound 'payroll' in \w+Store\('.*'\): was revision \d+, ", err)
    again = follow(url)
    expected = [key(one) for one in delivered if one.updated_at_time >= to]
    assert sorted(key(one) for one in again) == sorted(expected)
    assert len(expected) >= 10


def test_a_place_may_be_moved_before_its_first_start(url, run):
    delivered = follow(url, start=END - timedelta(days=20))
    everything = follow(url, "everything")
    assert len(delivered) < len(everything)
    code, _, err = run(
        "rewind", "payroll", "--to", "2020-02-01T00:00:00Z", "--store", url, *AT_ONCE
    )
    assert code == 0, err
    assert len(follow(url, start=END - timedelta(days=20))) == len(everything)


@pytest.mark.parametrize("to", ["2026-03-02T00:00:00Z", "2030-01-01T00:00:00Z"])
def test_a_place_is_not_moved_forward(url, to, run):
    follow(url)
    code, _, err = run("rewind", "payroll", "--to", to, "--store", url, *AT_ONCE)
    assert code == 2
    assert "there is no way back" in err


def test_a_place_is_forgotten(url, run):
    delivered = follow(url)
    code, out, err = run("reset", "payroll", "--yes", "--store", url, *AT_ONCE)
    assert (code, out) == (0, "")
    assert re.search(AUDIT + r"reset 'payroll' in \w+Store\('.*'\): was revision \d+, ", err)
    assert run("list", "--store", url)[1] == ""
    assert len(follow(url)) == len(delivered)


def test_nothing_is_forgotten_without_a_yes(url, run):
    follow(url)
    code, _, err = run("reset", "payroll", "--store", url, *AT_ONCE)
    assert code == 1
    assert "Aborted" in err
    assert run("list", "--store", url)[1] != ""


def test_a_damaged_place_is_listed_and_can_be_forgotten(tmp_path, run):
    url = f"file:{tmp_path / 'state'}"
    follow(url)
    (tmp_path / "state" / "payroll.json").write_bytes(b"torn")
    assert run("list", "--store", url)[1] == "payroll\tCorruptCheckpointError\n"
    code, _, err = run("show", "payroll", "--store", url)
    assert code == 1
    assert "is damaged" in err
    code, _, err = run("reset", "payroll", "--yes", "--store", url, *AT_ONCE)
    assert code == 0
    assert "was CorruptCheckpointError" in err
    assert run("list", "--store", url)[1] == ""


def test_places_are_copied_to_another_store(url, tmp_path, run):
    follow(url)
    follow(url, "Other \u00fc")
    code, lines, _ = run("export", "--store", url)
    assert code == 0
    assert [json.loads(line)["name"] for line in lines.splitlines()] == ["Other \u00fc", "payroll"]
    export = tmp_path / "export"
    export.write_text(lines)
    other = f"sqlite:{tmp_path / 'another.db'}"
    code, _, err = run("import", str(export), "--store", other, *AT_ONCE)
    assert code == 0
    assert len(re.findall(AUDIT + "imported .*: new; now revision 1, ", err, re.MULTILINE)) == 2
    assert follow(other) == []
    assert run("export", "payroll", "--store", other)[1].count("\n") == 1

    code, _, err = run("import", str(export), "--store", other, *AT_ONCE)
    assert code == 1
    assert "is saved already" in err
    again = ("import", str(export), "--replace", "--store", other, *AT_ONCE)
    code, _, err = run(*again)
    assert code == 0, err
    assert "was revision" in err


@pytest.mark.parametrize(
    "line", ["nonsense", '{"name": "x"}', '{"name": "", "revision": 1, "checkpoint": {}}']
)
def test_what_is_no_export_is_refused_as_a_whole(url, tmp_path, line, run):
    follow(url)
    export = tmp_path / "export"
    export.write_text(run("export", "--store", url)[1] + line)
    other = f"sqlite:{tmp_path / 'another.db'}"
    code, _, err = run("import", str(export), "--store", other)
    assert code == 1
    assert "line 2" in err
    assert not (tmp_path / "another.db").exists()


@pytest.mark.parametrize(
    "change",
    [("reset", "payroll", "--yes"), ("rewind", "payroll", "--to", "2026-01-15T00:00:00Z")],
    ids=lambda change: change[0],
)
def test_while_a_consumer_moves_it_nothing_is_changed(tmp_path, change, run):
    url = f"sqlite:{tmp_path / 'state'}"
    position = Position(query="startTime=x", origin="startTime=x", watermark=END)
    begun, over = threading.Event(), threading.Event()

    async def save_until_it_is_over():
        async with opened(url) as store:
            revision = 0
            while not over.is_set():
                revision = (await store.save("payroll", position, after=revision)).revision
                begun.set()

    saving = threading.Thread(target=asyncio.run, args=[save_until_it_is_over()])
    saving.start()
    begun.wait(10)
    try:
        code, _, err = run(*change, "--store", url, "--watch", "0.5")
    finally:
        over.set()
        saving.join()
    assert code == 1
    assert "a consumer runs: 'payroll' went from revision" in err
    assert "Stop it first" in err

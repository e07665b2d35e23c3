"""A ledger in a file: durable, compact, shared, and honest about damage."""

import asyncio
import errno
import fcntl
import os
import stat
import threading
from random import Random

import pytest

from coachstream import CorruptLedgerError, FileLedger, replay
from coachstream.checkpoints import files
from coachstream.consumer import file_ledger
from tests.consumer.test_ledger import failed, kept
from tests.support.virtual_time import virtual


@pytest.fixture
def path(tmp_path):
    return tmp_path / "failed.jsonl"


async def names(ledger):
    return [one.session_id for one in await kept(ledger)]


async def add_all(ledger, session_ids):
    for session_id in session_ids:
        await ledger.add(failed(session_id))


# Durable


@pytest.fixture
def synced(monkeypatch, path):
    """What was on the disk at each sync: the file's bytes, or "directory"."""
    found = []
    fsync = os.fsync

    def record(descriptor):
        fsync(descriptor)
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        found.append("directory" if is_directory else path.read_bytes())

    monkeypatch.setattr(os, "fsync", record)
    return found


@pytest.mark.parametrize("change", ["add", "remove"])
async def test_a_change_is_on_the_disk_when_it_returns(path, synced, change):
    ledger = FileLedger(path)
    await add_all(ledger, ["before", "stays"])
    synced.clear()
    await getattr(ledger, change)(failed("before"))
    assert synced == [path.read_bytes()]
    assert synced[0].count(b"\n") == 3


async def test_so_is_the_name_of_a_new_file(path, synced):
    ledger = FileLedger(path)
    await ledger.add(failed("a"))
    assert synced == [path.read_bytes(), "directory"]
    path.unlink()
    synced.clear()
    await ledger.add(failed("a"))
    assert synced == [path.read_bytes(), "directory"]


async def test_and_that_of_a_file_whose_maker_may_have_been_killed_before(path, synced):
    path.write_bytes(b"")
    await FileLedger(path).add(failed("a"))
    synced.clear()
    await FileLedger(path).add(failed("b"))
    assert "directory" in synced


# Damage


def damage(path, line, at, byte):
    """Replace one byte in a line."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line][:at] + byte + lines[line][at + 1 :]
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize("byte", [b"\xff", b"\0", b'"'])
async def test_a_damaged_line_among_whole_ones_is_named(path, byte):
    ledger = FileLedger(path)
    await add_all(ledger, "abcd")
    for line in (1, 3):
        damage(path, line, path.read_bytes().index(b"payroll"), byte)
    before = path.read_bytes()
    with pytest.raises(CorruptLedgerError, match=r"failed\.jsonl is damaged in line 2, line 4: "):
        await kept(ledger)
    assert path.read_bytes() == before
    lines = before.splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])  # as the error says
    assert await names(ledger) == ["a", "c"]


async def test_of_very_many_damaged_lines_the_first_are_named(path):
    path.write_bytes(b"?\n" * 100_000)
    with pytest.raises(CorruptLedgerError, match="line 20, …: repair") as raised:
        await kept(FileLedger(path))
    assert len(str(raised.value)) < 500


async def test_a_damaged_file_takes_more_and_is_never_rewritten(path, monkeypatch):
    monkeypatch.setattr(file_ledger, "SMALL", 0)
    ledger = FileLedger(path)
    await add_all(ledger, "ab")
    damage(path, 0, 20, b"\xff")
    before = path.read_bytes()
    for _ in range(5):
        await ledger.add(failed("b"))
        await ledger.remove(failed("b"))
    assert path.read_bytes().startswith(before)


async def test_a_torn_last_line_is_silent_and_is_cut_off_by_the_next_change(path):
    ledger = FileLedger(path)
    await add_all(ledger, "ab")
    whole = path.read_bytes()
    for cut in range(1, len(whole) // 2, 3):
        path.write_bytes(whole[:-cut])
        expected = ["a", "b"] if cut == 1 else ["a"]
        assert await names(ledger) == expected
        await ledger.add(failed("c"))
        assert await names(ledger) == [*expected, "c"]


async def test_blank_lines_are_harmless(path):
    ledger = FileLedger(path)
    await ledger.add(failed("a"))
    path.write_bytes(b"\n" + path.read_bytes() + b"\n\n")
    await ledger.add(failed("b"))
    assert await names(ledger) == ["a", "b"]


# Compact


async def test_replays_that_fail_do_not_make_it_grow(path):
    ledger = FileLedger(path)
    await add_all(ledger, map(str, range(100)))
    size = path.stat().st_size

    async def fail(_):
        raise ZeroDivisionError

    for _ in range(12):
        await replay(ledger, fail)
    assert path.stat().st_size < 3 * size + file_ledger.SMALL
    assert await names(ledger) == [str(number) for number in range(100)]


async def test_a_replay_that_succeeds_shrinks_it(path):
    ledger = FileLedger(path)
    await add_all(ledger, map(str, range(300)))

    async def handle(_):
        pass

    assert path.stat().st_size > 2 * file_ledger.SMALL
    await replay(FileLedger(path), handle)
    assert path.stat().st_size <= 2 * file_ledger.SMALL
    assert await names(ledger) == []


@pytest.mark.parametrize("count", [1, 30, 400])
async def test_a_ledger_of_which_all_is_handled_is_an_empty_file(path, count):
    ledger = FileLedger(path)
    for number in range(count):
        await ledger.add(failed(str(number), raw=f'{{"id":"{number}","x":"{"x" * 1000}"}}'))
    parked = await kept(ledger)
    for one in parked[:-1]:
        await ledger.remove(one)
    assert await kept(ledger) == parked[-1:]
    await ledger.remove(parked[-1])
    assert path.read_bytes() == b""
    assert await kept(ledger) == []


async def test_rewriting_keeps_the_order_and_the_mode_and_a_link(tmp_path, path, monkeypatch):
    monkeypatch.setattr(file_ledger, "SMALL", 0)
    ledger = FileLedger(path)
    await add_all(ledger, "abc")
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    for attempts in range(6, 16):
        await FileLedger(link).add(failed("a", attempts=attempts))
    assert path.read_bytes().count(b"\n") < 9
    assert [(one.session_id, one.attempts) for one in await kept(ledger)] == [
        ("a", 15),
        ("b", 5),
        ("c", 5),
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["failed.jsonl", "link"]


async def test_another_users_file_is_not_replaced_by_one_of_ours(path, monkeypatch):
    monkeypatch.setattr(file_ledger, "SMALL", 0)
    ledger = FileLedger(path)
    await ledger.add(failed("a"))
    inode = path.stat().st_ino
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    for _ in range(5):
        await ledger.add(failed("a"))
    assert path.stat().st_ino == inode


async def test_where_it_can_not_be_rewritten_changes_are_made_all_the_same(path, monkeypatch):
    """Such as a file that is mounted by itself, or a disk without room for a second one."""
    ledger = FileLedger(path)
    tries = []

    def busy(*_, **__):
        tries.append(path.stat().st_size)
        raise OSError(errno.EBUSY, "Device or resource busy")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", busy)
        for _ in range(300):
            await ledger.add(failed("a", raw="x" * 1000))
            await ledger.remove(failed("a", raw="x" * 1000))
            await ledger.add(failed("b"))
    assert 1 <= len(tries) <= 1 + path.stat().st_size / file_ledger.SMALL  # not with each change
    assert await names(ledger) == ["b"]
    before = path.stat().st_size
    await add_all(ledger, map(str, range(300)))
    assert path.stat().st_size < before / 2  # rewritten as soon as that is possible
    assert await names(FileLedger(path)) == ["b", *map(str, range(300))]


# Shared


async def test_a_replay_that_is_killed_half_way_keeps_the_order(path):
    await add_all(FileLedger(path), "abcd")

    async def fail(session):
        if session.id == "c":
            replaying.cancel()
            await asyncio.Event().wait()
        raise ZeroDivisionError

    replaying = asyncio.create_task(replay(FileLedger(path), fail))
    with pytest.raises(asyncio.CancelledError):
        await replaying
    assert await names(FileLedger(path)) == ["a", "b", "c", "d"]


async def test_several_processes_may_use_it_at_once_and_nothing_is_lost(path, monkeypatch):
    monkeypatch.setattr(file_ledger, "SMALL", 0)
    random = Random(1)

    async def use(letter):
        ledger, mine = FileLedger(path), set()
        for number in range(25):
            if mine and random.random() < 0.5:
                await ledger.remove(failed(mine.pop()))
            else:
                mine.add(f"{letter}{number}")
                await ledger.add(failed(f"{letter}{number}"))
        return mine

    left = await asyncio.gather(*map(use, "abcd"))
    assert set(await names(FileLedger(path))) == set().union(*left)
    assert path.read_bytes().count(b"\n") < 100


async def test_a_change_waits_for_the_lock(path):
    ledger = FileLedger(path)
    await ledger.add(failed("a"))
    with path.open("rb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        adding = asyncio.create_task(ledger.add(failed("b")))
        done, _ = await asyncio.wait([adding], timeout=0.05)
        assert not done
    await adding
    assert await names(ledger) == ["a", "b"]


@pytest.mark.parametrize("how", ["replaced", "removed"])
async def test_a_file_that_is_gone_when_its_lock_is_taken_is_opened_anew(path, monkeypatch, how):
    ledger = FileLedger(path)
    await ledger.add(failed("a"))
    flock = fcntl.flock

    def lock(descriptor, operation):
        monkeypatch.setattr(fcntl, "flock", flock)
        if how == "replaced":
            files.replace_file(path, path.read_bytes())
        else:
            path.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock)
    await ledger.add(failed("b"))
    assert await names(ledger) == (["a", "b"] if how == "replaced" else ["b"])


# A disk that hangs


@virtual
async def test_a_disk_that_hangs_ends_in_an_error(tmp_path, monkeypatch):
    ledger = FileLedger(tmp_path / "failed.jsonl")
    await ledger.add(failed("a"))
    go_on = threading.Event()
    decode = file_ledger._decoded

    def hang(text):
        go_on.wait(60)
        return decode(text)

    monkeypatch.setattr(file_ledger, "_decoded", hang)
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError, match="failed.jsonl'\\) did not end within 30 s"):
        await names(ledger)
    adding = asyncio.create_task(ledger.add(failed("b")))
    await asyncio.wait([adding], timeout=1)
    began = loop.time()
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert loop.time() - began < 1
    go_on.set()
    assert await names(ledger) == ["a"]


async def test_a_missing_directory_is_created(tmp_path):
    ledger = FileLedger(tmp_path / "not" / "there" / "failed.jsonl")
    assert await names(ledger) == []
    await ledger.add(failed("1"))
    assert await names(ledger) == ["1"]

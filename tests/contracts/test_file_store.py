"""What the file store promises beyond what every store does."""

import asyncio
import errno
import fcntl
import os
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream.checkpoints import FileStore
from coachstream.checkpoints.file import file_name
from coachstream.errors import (
    CorruptCheckpointError,
    InvalidArgumentError,
    StaleCheckpointError,
    StoreError,
    StoreRefusedError,
)
from tests.contracts.positions import cursor_in, position

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "checkpoints"


@pytest.fixture
async def store(directory):
    async with FileStore(directory) as one:
        yield one


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(path, data: bytes) -> None:
    path.write_bytes(data)


async def test_only_the_owner_can_read(directory, store):
    umask = os.umask(0)
    try:
        for revision in range(3):
            await store.save("payroll", position(), after=revision)
    finally:
        os.umask(umask)
    assert mode(directory) == 0o700
    files = sorted(path.name for path in directory.iterdir())
    assert files == ["payroll.json", "payroll.json.lock", "payroll.json.previous"]
    assert {mode(path) for path in directory.iterdir()} == {0o600}


async def test_a_directory_of_yours_keeps_its_mode(directory, store):
    directory.mkdir(mode=0o755)
    await store.save("payroll", position(), after=0)
    assert mode(directory) == 0o755


async def test_a_mistaken_path_creates_no_directories(tmp_path):
    store = FileStore(tmp_path / "mistaken" / "checkpoints")
    assert await store.load("payroll") is None
    with pytest.raises(StoreRefusedError, match="mistaken"):
        await store.save("payroll", position(), after=0)
    assert list(tmp_path.iterdir()) == []


async def test_a_file_is_two_lines_that_people_can_read(directory, store):
    await store.save("payroll", position("c1"), after=0)
    label, value = (directory / "payroll.json").read_bytes().splitlines()
    assert label.startswith(b'{"revision":1,"sha256":"')
    assert value.startswith(b'{"format":1,"position":{')


async def test_the_error_for_a_damaged_file_explains_a_recovery_that_works(directory, store):
    await store.save("payroll", position("c1"), after=0)
    await store.save("payroll", position("c2"), after=1)
    current, previous = directory / "payroll.json", directory / "payroll.json.previous"
    write(current, current.read_bytes()[:-5])
    with pytest.raises(CorruptCheckpointError) as raised:
        await store.load("payroll")
    text = str(raised.value)
    assert f"move {previous} over {current}" in text
    assert "revision 1" in text
    assert "delivered again" in text
    previous.replace(current)
    assert await cursor_in(store) == "c1"
    assert (await store.save("payroll", position("c2"), after=1)).revision == 2


@pytest.mark.parametrize("previous", [None, b"", b"damaged, too"])
async def test_without_a_usable_previous_file_the_error_says_so(directory, store, previous):
    await store.save("payroll", position(), after=0)
    if previous is not None:
        write(directory / "payroll.json.previous", previous)
    write(directory / "payroll.json", b"")
    with pytest.raises(CorruptCheckpointError, match="no usable previous one"):
        await store.load("payroll")


async def test_the_previous_file_is_never_used_silently(directory, store):
    await store.save("payroll", position("c1"), after=0)
    await store.save("payroll", position("c2"), after=1)
    write(directory / "payroll.json", b"\0" * 100)  # what some file systems leave after a crash
    for after in range(3):
        with pytest.raises(CorruptCheckpointError):
            await store.save("payroll", position(), after=after)


async def test_every_single_damaged_byte_is_noticed(directory, store):
    await store.save("payroll", position("c1"), after=0)
    path = directory / "payroll.json"
    sound = path.read_bytes()
    for index in range(len(sound)):
        damaged = bytearray(sound)
        damaged[index] ^= 4
        write(path, bytes(damaged))
        with pytest.raises(CorruptCheckpointError):
            await store.load("payroll")


async def test_the_current_file_is_there_at_every_moment_of_a_save(directory, store, monkeypatch):
    await store.save("payroll", position("c1"), after=0)
    await store.save("payroll", position("c2"), after=1)
    revisions = []

    def watched(call):
        def step(*args, **kwargs):
            revisions.append((directory / "payroll.json").read_bytes()[:14])
            return call(*args, **kwargs)

        return step

    for function in ("open", "link", "unlink", "fsync", "replace", "rename", "close"):
        monkeypatch.setattr(os, function, watched(getattr(os, function)))
    await store.save("payroll", position("c3"), after=2)
    assert len(revisions) > 5
    assert set(revisions) == {b'{"revision":2,', b'{"revision":3,'}
    assert revisions == sorted(revisions)


async def test_a_file_is_synced_before_it_is_renamed_and_the_directory_afterwards(
    directory, store, monkeypatch
):
    await store.save("payroll", position("c1"), after=0)
    steps = []
    fsync, replace = os.fsync, os.rename

    def record_fsync(descriptor):
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        steps.append(f"sync {kind}")
        fsync(descriptor)

    def record_replace(*args, **kwargs):
        steps.append("replace")
        replace(*args, **kwargs)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    await store.save("payroll", position("c2"), after=1)
    assert steps == ["sync file", "replace", "sync directory"]


def let_directories_fail(monkeypatch, code) -> None:
    """Let the sync of a directory fail, and that of a file work."""
    fsync = os.fsync

    def sync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
async def test_where_directories_cannot_be_synced_a_save_is_no_failure(store, monkeypatch, code):
    let_directories_fail(monkeypatch, code)
    for revision in range(2):
        await store.save("payroll", position(f"c{revision}"), after=revision)
    assert await cursor_in(store) == "c1"


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
async def test_any_other_failure_to_sync_a_directory_is_raised(store, monkeypatch, code):
    await store.save("payroll", position("c0"), after=0)
    let_directories_fail(monkeypatch, code)
    with pytest.raises(StoreError, match=re.escape(os.strerror(code))):
        await store.save("payroll", position("c1"), after=1)


async def test_without_hard_links_the_previous_file_is_copied(directory, store, monkeypatch):
    def refuse(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    await store.save("payroll", position("c1"), after=0)
    first = (directory / "payroll.json").read_bytes()
    await store.save("payroll", position("c2"), after=1)
    assert (directory / "payroll.json.previous").read_bytes() == first
    assert await cursor_in(store) == "c2"


async def test_what_a_crash_left_behind_does_no_harm(directory, store):
    await store.save("payroll", position("c1"), after=0)
    write(directory / "payroll.json.new", b"half a checkpoi" * 1000)
    await store.save("payroll", position("c2"), after=1)
    assert await cursor_in(store) == "c2"


async def test_a_save_waits_for_another_process_and_then_reads_again(directory, store):
    await store.save("payroll", position("c1"), after=0)
    with (directory / "payroll.json.lock").open("rb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        mine = asyncio.create_task(store.save("payroll", position("mine"), after=1))
        done, _ = await asyncio.wait([mine], timeout=0.05)
        assert not done
        other = position("theirs")
        await FileStore(directory / "elsewhere").save("payroll", other, after=0)
        await FileStore(directory / "elsewhere").save("payroll", other, after=1)
        (directory / "elsewhere" / "payroll.json").replace(directory / "payroll.json")
    with pytest.raises(StaleCheckpointError):
        await mine
    assert await cursor_in(store) == "theirs"


@given(one=names, other=names)
def test_each_name_has_a_file_of_its_own_inside_the_directory(one, other):
    for name in (one, other, one.swapcase()):
        file = file_name(name)
        assert len(file.encode()) < 230
        assert file == file.lower()
        assert "/" not in file
        assert not file.startswith(".")
        assert file.isascii()
    assert (file_name(one) == file_name(other)) == (one == other)


@pytest.mark.parametrize("name", ["x" * 200, "x" * 199 + "X", "\u00fc" * 200, "%" * 121])
def test_a_shortened_file_name_is_unique(name):
    plain = {file_name(name[:length]) for length in range(1, len(name))}
    assert file_name(name) not in plain
    assert "+" in file_name(name)


async def test_other_files_are_not_listed(directory, store):
    await store.save("payroll", position(), after=0)
    await store.save("payroll", position(), after=1)
    for name in ("notes.json.txt", "Capital.json", "x+y.json", ".json", "%zz.json", "payroll.bak"):
        write(directory / name, b"{}\n")
    assert await store.list() == ["payroll"]


async def test_a_shortened_file_is_no_other_names(directory, store):
    await store.save("x" * 200, position(), after=0)
    (directory / file_name("x" * 200)).replace(directory / file_name("x" * 199 + "y"))
    with pytest.raises(CorruptCheckpointError, match="it is that of"):
        await store.load("x" * 199 + "y")
    assert await store.list() == []


async def test_what_is_deleted_leaves_nothing_but_a_lock(directory, store):
    await store.save("payroll", position(), after=0)
    await store.save("payroll", position(), after=1)
    write(directory / "payroll.json.new", b"half a checkpoi")
    await store.delete("payroll")
    assert [path.name for path in directory.iterdir()] == ["payroll.json.lock"]


def test_an_empty_directory_is_an_error():
    with pytest.raises(InvalidArgumentError, match="directory: is empty"):
        FileStore("")

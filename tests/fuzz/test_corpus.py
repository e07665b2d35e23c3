"""Every committed input, and short runs with new inputs."""

import asyncio
import gc
import sqlite3
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coachstream import CheckpointError, CorruptCheckpointError
from coachstream.checkpoints import FileStore, SqliteStore
from coachstream.checkpoints.encoding import decode, encode
from coachstream.checkpoints.stored import Stored, restore, unseal
from tests.contracts.positions import full, position, positions
from tests.fuzz import __main__ as command
from tests.fuzz import checkpoint, targets
from tests.fuzz.mutator import Mutator

REAL = {target: targets.seeds(target) for target in targets.TARGETS}


@pytest.fixture(autouse=True)
def _no_garbage_collection():
    """A finalizer that runs deep in nested JSON would exceed the recursion limit."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("path", targets.CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_committed_input_breaks_no_promise(path):
    assert targets.TARGETS[path.parent.name](path.read_bytes())


def test_the_corpus_is_small():
    assert len(targets.CORPUS) > 30
    assert sum(path.stat().st_size for path in targets.CORPUS) < 150_000


@pytest.mark.parametrize("target", targets.TARGETS)
def test_the_inputs_to_mutate_are_valid(target):
    outcomes = {targets.TARGETS[target](seed) for seed in REAL[target]}
    wanted = {"wire": ("page:session", "assignments", "change"), "checkpoint": ("position",)}
    for outcome in wanted[target]:
        assert any(outcome in one for one in outcomes), outcome


@given(st.binary(max_size=300))
def test_any_bytes_keep_the_promises(data):
    for check in targets.TARGETS.values():
        check(data)


@given(st.sampled_from(list(targets.TARGETS)), st.integers(0, 2**32))
@settings(max_examples=1000)
def test_nearly_right_bytes_keep_the_promises(target, seed):
    targets.TARGETS[target](Mutator(REAL[target], Random(seed)).draw())


@given(positions)
def test_a_position_is_restored_unchanged(original):
    assert decode("it", encode(original)) == original


@given(st.integers(0, len(checkpoint.SEALED) * 8 - 1))
@settings(max_examples=300)
def test_a_checkpoint_with_one_flipped_bit_is_damaged(bit):
    damaged = bytearray(checkpoint.SEALED)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CheckpointError):
        unseal("it", bytes(damaged))


@given(st.binary(max_size=80), st.integers(0, 2**32))
@settings(max_examples=40)
def test_any_file_is_read_or_found_damaged(data, seed):
    mutated = Mutator(REAL["checkpoint"], Random(seed)).draw()

    async def load(directory):
        store = FileStore(directory)
        await store.save("it", position("c"), after=0)
        path = directory / "it.json"
        whole = path.read_bytes()
        for content in (data, mutated, whole + data):
            path.write_bytes(content)
            try:
                restored = await store.load("it")
            except CheckpointError as error:
                # A damaged file is not overwritten either.
                with pytest.raises(type(error)):
                    await store.save("it", position("new"), after=1)
                assert path.read_bytes() == content
            else:
                assert restored == restore("it", unseal("it", content))

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(load(Path(directory)))


ODD_COLUMNS = st.one_of(
    st.none(),
    st.binary(max_size=30),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.floats(allow_nan=False),  # SQLite stores NaN as NULL
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(REAL["checkpoint"]),
)


@given(revision=ODD_COLUMNS, value=ODD_COLUMNS)
@settings(max_examples=60)
def test_any_row_is_read_or_found_damaged(revision, value):
    async def load(path):
        async with SqliteStore(path) as store:
            await store.save("it", position("c"), after=0)
        _overwrite(path, revision, value)
        async with SqliteStore(path) as store:
            try:
                restored = await store.load("it")
            except CheckpointError:
                return
            assert restored is not None
            assert type(restored.revision) is int
            assert restored.revision >= 1

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(load(Path(directory) / "checkpoints.db"))


def _overwrite(path, revision, value):
    with closing(sqlite3.connect(path)) as connection:
        for column, content in (("revision", revision), ("value", value)):
            if content is not None:
                update = f"UPDATE coachstream_checkpoints SET {column} = ?"  # noqa: S608  # our own
                connection.execute(update, (content,))
        connection.commit()


@pytest.mark.parametrize("revision", ["many", 1.5, b"\x01", True, None, 0])
def test_a_revision_that_is_no_number_is_damage(revision):
    with pytest.raises(CorruptCheckpointError, match="its revision is"):
        restore("it", Stored(revision, encode(full(0))))


def test_a_label_nested_too_deep_is_damage():
    with pytest.raises(CorruptCheckpointError):
        unseal("it", b'{"x":' + b"[" * 100_000)


# The command


def test_the_command_runs_and_reports_its_cases(capsys):
    assert command.main(["--minutes", "0.002", "--seed", "7"]) == 0
    output = capsys.readouterr().out
    assert output.count("seed 7") == len(targets.TARGETS)


def test_a_broken_promise_is_saved_shortened_and_can_be_replayed(monkeypatch, tmp_path, capsys):
    def check(data):
        assert b"w" not in data
        return "fine"

    (tmp_path / "wire").mkdir()
    monkeypatch.setattr(targets, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "TARGETS", {"wire": check})
    assert command.main(["--target", "wire"]) == 1
    (saved,) = (tmp_path / "wire").iterdir()
    assert saved.read_bytes() == b"w"
    assert f"--replay wire/{saved.name}" in capsys.readouterr().out
    with pytest.raises(AssertionError):
        command.main(["--replay", str(saved)])


def test_a_mutator_repeats_itself_for_the_same_seed():
    draws = [[Mutator(REAL["wire"], Random(seed)).draw() for _ in range(5)] for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_undetected_damage_would_be_noticed(monkeypatch):
    """The check itself can fail: it does so without the checksum."""
    monkeypatch.setattr("coachstream.checkpoints.stored._checksum", lambda _: "any")
    unsealed = partial(unseal, "it")
    sealed = msgspec.json.encode({"revision": 3, "sha256": "any"}) + b"\n" + checkpoint.SOUND.value
    monkeypatch.setattr(checkpoint, "SEALED", sealed)
    assert unsealed(sealed) == checkpoint.SOUND
    with pytest.raises(AssertionError, match="passed for another checkpoint"):
        checkpoint.check(b"\x00\x8d\x01x")

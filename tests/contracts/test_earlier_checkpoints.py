"""Checkpoints that earlier code has written are read, resumed from, and replaced.

``earlier/format-1`` was written by version 0.1 in November 2026: by hand-made saves, and by a loop
("a loop") that was left in the middle of a page. Another folder joins it whenever what is written
changes; none is ever written anew.
"""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from coachstream.checkpoints import FileStore, PostgresStore, SqliteStore
from coachstream.checkpoints.file import file_name
from coachstream.progress.checkpointer import Checkpointer
from coachstream.wire.query import Query
from tests.support.runtimes import new_runtime
from tests.support.servers import driver

EARLIER = sorted(Path(__file__).with_name("earlier").iterdir())
NAMES = ["a loop", "begun", "following", "in a window", "restarted"]


@pytest.fixture(params=EARLIER, ids=lambda folder: folder.name)
def folder(request, tmp_path):
    return Path(shutil.copytree(request.param, tmp_path / "earlier"))


async def accepted(store, name, *, revision, value):
    """The store's checkpoint is all that is written there, and the next save replaces it."""
    written = json.loads(value)["position"]
    found = await store.load(name)
    assert found.revision == revision
    loaded = json.loads(msgspec.json.encode(found.position))
    assert {field: loaded[field] for field in written} == written

    checkpointer = Checkpointer(store, name=name, runtime=new_runtime())
    assert await checkpointer.load(Query.from_wire(found.position.origin)) == found.position
    moved = msgspec.structs.replace(found.position, cursor="moved")
    await checkpointer.save(moved)
    assert (await store.load(name)).position == moved


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_is_accepted(folder, name):
    label, value = (folder / "files" / file_name(name)).read_text().split("\n")
    async with FileStore(folder / "files") as store:
        await accepted(store, name, revision=json.loads(label)["revision"], value=value)


@pytest.mark.parametrize("name", NAMES)
async def test_a_row_in_sqlite_is_accepted(folder, name):
    with closing(sqlite3.connect(folder / "checkpoints.db")) as connection:
        query = "SELECT revision, value FROM coachstream_checkpoints WHERE name = ?"
        revision, value = connection.execute(query, (name,)).fetchone()
    async with SqliteStore(folder / "checkpoints.db") as store:
        await accepted(store, name, revision=revision, value=value)


@pytest.mark.service
async def test_rows_in_postgres_are_accepted(folder, postgres_server):
    rows = json.loads((folder / "postgres.json").read_text())
    assert [row[0] for row in rows] == NAMES
    connection = await driver("asyncpg").connect(postgres_server)
    try:
        await connection.execute("DROP TABLE IF EXISTS coachstream_checkpoints")
        await connection.execute(
            "CREATE TABLE coachstream_checkpoints "
            "(name text PRIMARY KEY, revision bigint NOT NULL, value text NOT NULL)"
        )
        await connection.executemany(
            "INSERT INTO coachstream_checkpoints VALUES ($1, $2, $3)", [tuple(row) for row in rows]
        )
    finally:
        await connection.close()
    async with PostgresStore(postgres_server) as store:
        for name, revision, value in rows:
            await accepted(store, name, revision=revision, value=value)

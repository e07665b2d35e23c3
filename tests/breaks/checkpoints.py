"""Deliberate breaks of ``checkpoints``."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a store compares before it sets",
        "checkpoints/stored",
        "    if revision != after:",
        "    if revision < after:",
        ("tests/contracts/test_stores.py",),
    ),
    Mutation(
        "a file is replaced whole or not at all",
        "checkpoints/file",
        "    new.replace(path)\n",
        "    path.write_bytes(data)\n",
        ("tests/contracts/test_file_store.py", "tests/contracts/test_store_crash.py"),
    ),
)

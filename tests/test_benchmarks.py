"""Every benchmark runs in its short form; times are not asserted, as they mean nothing there."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.__main__ import BENCHMARKS

ROOT = Path(__file__).parent.parent
RIVALS = {"by hand", "samsara-api", "dlt"}


@pytest.fixture(scope="module")
def results():
    # With coverage in every process, the benchmarks would measure coverage, too.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-m", "benchmarks", "--short", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(done.stdout)


@pytest.mark.timeout(150)  # well under a minute on an idle machine
def test_every_benchmark_runs_and_describes_the_machine(results):
    assert list(results["benchmarks"]) == list(BENCHMARKS)
    assert all(results["benchmarks"].values())
    assert results["size"] == "short"
    assert results["machine"]["cores"] >= 1
    assert {"aiohttp", "msgspec"} <= set(results["machine"]["packages"])


def test_figures_are_sane(results):
    for figures in results["benchmarks"].values():
        for figure in figures:
            if figure["ours"] is None:
                assert figure["note"]
                continue
            ours = figure["ours"]
            assert 0 <= ours["low"] <= ours["median"] <= ours["high"]
            if figure["rival"]:
                assert figure["theirs"]["low"] > 0
                assert 0 < figure["ratio"]["low"] <= figure["ratio"]["median"]


def test_streaming_has_every_rival_for_every_shape(results):
    rows = results["benchmarks"]["streaming"]
    shapes = {row["what"] for row in rows}
    assert len(shapes) >= 2
    for shape in shapes:
        assert {row["rival"] for row in rows if row["what"] == shape} == RIVALS
    measured = {row["rival"] for row in rows if row["ours"] is not None}
    assert {"by hand", "samsara-api"} <= measured


def test_a_backfill_reads_every_version_and_is_never_refused(results):
    rows = results["benchmarks"]["backfilling"]
    exact = [row for row in rows if row["what"].startswith(("responses with 429", "versions"))]
    assert len(exact) >= 2
    assert all(row["ours"]["high"] == 0 for row in exact)


def test_the_readme_describes_every_benchmark():
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in BENCHMARKS)

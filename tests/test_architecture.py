"""The floor plan: imports only go down, and each outside library has one way in."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import coachstream

HOUSE = Path(coachstream.__file__).parent

FLOORS = [
    {"_version", "errors"},
    {"models", "clock", "arguments", "background"},
    {"telemetry"},
    {"health", "lag", "logs", "query", "wire", "retry", "ratelimit", "credentials"},
    {"address"},
    {"lanes", "windows", "cursors", "checkpoints", "ledger"},
    {"frontier", "keeper", "exchange", "failures"},
    {"transport"},
    {"fetcher"},
    {"source", "reader", "assignments"},
    {"past", "stream"},
    {"backfill"},
    {"sessions", "consumer"},
    {"consume"},
    {"client"},
    {"__init__"},
    {"screen", "outlet"},
    {"demo"},
    {"cli"},
]
ANNEXES = {"emulator": set[str](), "testing": {"__init__", "checkpoints", "emulator"}}
"""Subpackages that stand beside the house, and what of it they may import."""
OPEN_TO_ANNEXES = {"demo", "cli"}
"""The only rooms that may import an annex, and that only the emulator."""

ONE_DOOR = {
    "aiohttp": {"exchange", "client"},
    "aiolimiter": {"ratelimit"},
    "click": {"cli"},
    "rich": {"cli", "demo", "screen"},
}
"""Outside libraries and the rooms that may import them. (`client` only names a type.)"""
PURE = {"address", "arguments", "cursors", "errors", "frontier", "lanes", "models"}
PURE |= {"query", "retry", "windows", "wire"}
BANNED_IN_PURE = {"asyncio", "anyio", "time", "os", "socket", "aiohttp"}

MODULES = sorted(HOUSE.rglob("*.py"))


def room(path: Path) -> str:
    """The module's name in the house, or the annex it is part of."""
    parts = path.relative_to(HOUSE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports(path: Path) -> set[str]:
    """Absolute names of all that a module imports, wherever in it the import stands."""
    package = ["coachstream", *path.relative_to(HOUSE).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            # `from . import wire` names rooms; `from .wire import Page` names things in one.
            names = [f"{stem}.{name.name}" for name in node.names] if not node.module else [stem]
            found |= set(names)
    return found


def leans_on(path: Path) -> set[str]:
    """Rooms of the house that a module imports."""
    rooms = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "coachstream":
            rooms.add(parts[1] if len(parts) > 1 else "__init__")
    return rooms - {room(path)}


def test_every_module_stands_on_a_floor():
    floors = [name for floor in FLOORS for name in floor]
    assert len(floors) == len(set(floors))
    assert {room(path) for path in MODULES} == set(floors) | set(ANNEXES)


@pytest.mark.parametrize("path", [p for p in MODULES if room(p) not in ANNEXES], ids=room)
def test_imports_only_go_down(path):
    floor = next(number for number, rooms in enumerate(FLOORS) if room(path) in rooms)
    below = set().union(*FLOORS[:floor])
    allowed = below | ({"emulator"} if room(path) in OPEN_TO_ANNEXES else set())
    assert leans_on(path) <= allowed


@pytest.mark.parametrize(
    "path", [p for p in MODULES if room(p) in ANNEXES], ids=lambda p: str(p.relative_to(HOUSE))
)
def test_annexes_stand_alone(path):
    assert leans_on(path) <= ANNEXES[room(path)]


@pytest.mark.parametrize("path", [p for p in MODULES if room(p) not in ANNEXES], ids=room)
def test_each_outside_library_has_one_door(path):
    for name in imports(path):
        outside = name.split(".", maxsplit=1)[0]
        assert room(path) in ONE_DOOR.get(outside, {room(path)}), name


@pytest.mark.parametrize("path", [p for p in MODULES if room(p) in PURE], ids=room)
def test_pure_modules_touch_neither_time_nor_network(path):
    outside = {name.split(".", maxsplit=1)[0] for name in imports(path)}
    assert not outside & BANNED_IN_PURE


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_a_module_is_one_idea(path):
    assert len(path.read_text().splitlines()) <= 360, "more than one idea: make it two rooms"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_every_module_can_be_imported_first(path):
    parts = path.relative_to(HOUSE.parent).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    assert importlib.import_module(name)


def test_importing_sets_nothing_and_loads_no_extra():
    """In a fresh interpreter: no loop, no handler, no signal, nothing of the extras."""
    script = """
import logging, signal, sys
before = signal.getsignal(signal.SIGINT), list(logging.getLogger().handlers)
import coachstream
assert before == (signal.getsignal(signal.SIGINT), list(logging.getLogger().handlers))
assert not logging.getLogger("coachstream").handlers
loaded = {"click", "rich", "coachstream.emulator", "aiohttp.web_app"} & set(sys.modules)
print(sorted(loaded - {"aiohttp.web_app"}))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]"

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
    {"models", "clock", "arguments"},
    {"telemetry", "retry"},
    {"tasks", "observers", "wire"},
    {"checkpoints"},
    {"http"},
    {"feed"},
    {"progress"},
    {"sessions", "assignments"},
    {"consumer"},
    {"client"},
    {"__init__"},
    {"cli"},
]
"""Modules at the top and wings, from the ground up: each may import only what lies below it."""
ANNEXES = {"emulator": set[str](), "testing": {"__init__", "checkpoints", "emulator"}}
"""Wings that stand beside the house, and what of it they may import."""
OPEN_TO_ANNEXES = {"cli"}
"""The only wing that may import an annex, and that only the emulator."""

ONE_DOOR = {
    "aiohttp": {"http.exchange", "client"},
    "aiolimiter": {"http.rate_limit"},
    "asyncpg": {"checkpoints.postgres"},
    "click": {"cli"},
    "nats": {"checkpoints.nats"},
    "redis": {"checkpoints.redis"},
    "rich": {"cli"},
    "sqlite3": {"checkpoints.sqlite"},
}
"""Outside libraries and the modules that may import them. (`client` only names a type.)"""
PURE = {
    "arguments",
    "cursors",
    "errors",
    "frontier",
    "http.address",
    "lanes",
    "models",
    "retry",
    "windows",
    "wire",
}
"""Modules and wings without I/O, clock or event loop."""
BANNED_IN_PURE = {"asyncio", "anyio", "time", "os", "socket", "aiohttp"}

LONGEST_MODULE = 360
"""Lines. A longer module holds more than one idea."""

MODULES = sorted(HOUSE.rglob("*.py"))


def name(path: Path) -> str:
    """The module's name within the package: ``feed.reader``; a wing's own is ``feed``."""
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def place(path: Path) -> str:
    """The module at the top, or the wing that the module is part of."""
    return name(path).partition(".")[0]


NAMES = {name(path) for path in MODULES}
IN_THE_HOUSE = [path for path in MODULES if place(path) not in ANNEXES]
IN_ANNEXES = [path for path in MODULES if place(path) in ANNEXES]


def imports(path: Path) -> set[str]:
    """Absolute names of all that a module imports, wherever in it the import stands."""
    package = ["coachstream", *path.relative_to(HOUSE).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            # `from .wire import pages` imports a module, `from .wire.pages import Page` does not.
            names = {f"{stem}.{alias.name}" for alias in node.names}
            modules = {one for one in names if one.removeprefix("coachstream.") in NAMES}
            found |= modules or {stem}
    return found


def leans_on(path: Path) -> set[str]:
    """Names of this package's modules that a module imports."""
    ours = {one for one in imports(path) if one.split(".")[0] == "coachstream"}
    names = {one.partition(".")[2] or "__init__" for one in ours}
    return {one for one in names if one in NAMES}


def places(path: Path) -> set[str]:
    """Modules at the top and wings that a module imports, but for its own."""
    return {one.partition(".")[0] for one in leans_on(path)} - {place(path)}


def test_every_module_and_wing_stands_on_a_floor():
    floors = [one for floor in FLOORS for one in floor]
    assert len(floors) == len(set(floors))
    assert {place(path) for path in MODULES} == set(floors) | set(ANNEXES)


@pytest.mark.parametrize("path", IN_THE_HOUSE, ids=name)
def test_imports_only_go_down(path):
    floor = next(number for number, here in enumerate(FLOORS) if place(path) in here)
    below = set().union(*FLOORS[:floor])
    allowed = below | ({"emulator"} if place(path) in OPEN_TO_ANNEXES else set())
    assert places(path) <= allowed


@pytest.mark.parametrize("path", IN_ANNEXES, ids=name)
def test_annexes_stand_alone(path):
    assert places(path) <= ANNEXES[place(path)]


def test_no_imports_go_in_circles():
    left = {name(path): leans_on(path) - {name(path)} for path in MODULES}
    while free := {one for one, below in left.items() if not below & left.keys()}:
        left = {one: below for one, below in left.items() if one not in free}
    assert left == {}


@pytest.mark.parametrize("path", IN_THE_HOUSE, ids=name)
def test_each_outside_library_has_one_door(path):
    for imported in imports(path):
        doors = ONE_DOOR.get(imported.partition(".")[0])
        assert doors is None or {name(path), place(path)} & doors, imported


@pytest.mark.parametrize("path", [p for p in MODULES if {name(p), place(p)} & PURE], ids=name)
def test_pure_modules_touch_neither_time_nor_network(path):
    outside = {imported.partition(".")[0] for imported in imports(path)}
    assert not outside & BANNED_IN_PURE


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_is_one_idea(path):
    assert len(path.read_text().splitlines()) <= LONGEST_MODULE, "make it two modules"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_can_be_imported_first(path):
    parts = path.relative_to(HOUSE.parent).with_suffix("").parts
    assert importlib.import_module(".".join(part for part in parts if part != "__init__"))


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

"""The layers: imports only go down, and each outside library is imported in one place."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import coachstream

PACKAGE = Path(coachstream.__file__).parent

LAYERS = [
    {"_version", "text", "enumerations"},
    {"api_errors"},
    {"errors"},
    {"brief"},
    {"models", "arguments", "event"},
    {"clock"},
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
    {"__main__"},
]
"""Modules and subpackages, from the bottom up: each may import only those of lower layers."""
STANDALONE = {"emulator": set[str](), "testing": {"__init__", "checkpoints", "emulator"}}
"""Subpackages outside the layers, and the parts that they may import."""
MAY_IMPORT_EMULATOR = {"cli"}
"""The subpackages that may import the emulator."""

IMPORTERS = {
    "aiohttp": {"http.exchange", "http.failures", "client", "cli.connection"},
    "aiolimiter": {"http.rate_limit"},
    "asyncpg": {"checkpoints.postgres"},
    "click": {"cli"},
    "nats": {"checkpoints.nats"},
    "psycopg": {"checkpoints.connections"},
    "redis": {"checkpoints.redis"},
    "rich": {"cli"},
    "sqlalchemy": {"checkpoints.connections"},
    "sqlite3": {"checkpoints.sqlite"},
}
"""Outside libraries, and the modules that may import them. (`client` only names a type;
`cli.connection` makes a session as users do.)"""
PURE = {
    "api_errors",
    "arguments",
    "brief",
    "consumer.bounds",
    "consumer.lanes",
    "enumerations",
    "errors",
    "feed.paging",
    "feed.reading",
    "feed.windows",
    "http.address",
    "models",
    "progress.frontier",
    "retry",
    "text",
    "wire",
}
"""Modules and subpackages without I/O, clock or event loop."""
BANNED_IN_PURE = {"asyncio", "anyio", "time", "os", "socket", "aiohttp"}

AT_THE_TOP = 14
"""Modules that may stand at the top of the package, beside the subpackages."""
LONGEST_MODULE = 300
"""Lines. A longer module holds more than one idea."""
LONGEST_FUNCTION = 40
"""Lines of a body without its docstring. A longer function does more than one thing."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    """Return a module's name within the package: ``feed.reader``; ``feed`` for its ``__init__``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def top_level(path: Path) -> str:
    """Return the top-level module or subpackage that a module is part of."""
    return name(path).partition(".")[0]


NAMES = {name(path) for path in MODULES}
LAYERED = [path for path in MODULES if top_level(path) not in STANDALONE]
STANDALONE_MODULES = [path for path in MODULES if top_level(path) in STANDALONE]


def imports(path: Path) -> set[str]:
    """Return the absolute names of all imports of a module, including those in functions."""
    package = ["coachstream", *path.relative_to(PACKAGE).parent.parts]
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
            found |= modules | ({stem} if len(modules) < len(names) else set())
    return found


def own_imports(path: Path) -> set[str]:
    """Return the modules of this package that a module imports."""
    ours = {one for one in imports(path) if one.split(".")[0] == "coachstream"}
    names = {one.partition(".")[2] or "__init__" for one in ours}
    return {one for one in names if one in NAMES}


def imported_parts(path: Path) -> set[str]:
    """Return the top-level modules and subpackages that a module imports, except its own."""
    return {one.partition(".")[0] for one in own_imports(path)} - {top_level(path)}


def test_every_module_and_subpackage_has_a_layer():
    parts = [one for layer in LAYERS for one in layer]
    assert len(parts) == len(set(parts))
    assert {top_level(path) for path in MODULES} == set(parts) | set(STANDALONE)
    assert sum(path.parent == PACKAGE for path in MODULES) <= AT_THE_TOP


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*/__init__.py")), ids=name)
def test_each_subpackage_names_what_it_imports(path):
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    named = set(re.findall(r"``(\w+)``", text))
    imported = set().union(*map(imported_parts, path.parent.rglob("*.py")))
    subpackages = {one.parent.name for one in PACKAGE.glob("*/__init__.py")}
    assert imported & subpackages <= named


@pytest.mark.parametrize("path", LAYERED, ids=name)
def test_imports_only_go_down(path):
    layer = next(number for number, parts in enumerate(LAYERS) if top_level(path) in parts)
    lower = set().union(*LAYERS[:layer])
    allowed = lower | ({"emulator"} if top_level(path) in MAY_IMPORT_EMULATOR else set())
    assert imported_parts(path) <= allowed


@pytest.mark.parametrize("path", STANDALONE_MODULES, ids=name)
def test_standalone_subpackages_import_only_what_they_may(path):
    assert imported_parts(path) <= STANDALONE[top_level(path)]


def test_no_imports_go_in_circles():
    left = {name(path): own_imports(path) - {name(path)} for path in MODULES}
    while free := {one for one, lower in left.items() if not lower & left.keys()}:
        left = {one: lower for one, lower in left.items() if one not in free}
    assert left == {}


@pytest.mark.parametrize("path", LAYERED, ids=name)
def test_each_outside_library_has_one_importer(path):
    for imported in imports(path):
        importers = IMPORTERS.get(imported.partition(".")[0])
        assert importers is None or {name(path), top_level(path)} & importers, imported


def test_every_pure_module_exists():
    assert {top_level(path) for path in MODULES} | NAMES >= PURE


@pytest.mark.parametrize("path", [p for p in MODULES if {name(p), top_level(p)} & PURE], ids=name)
def test_pure_modules_touch_neither_time_nor_network(path):
    outside = {imported.partition(".")[0] for imported in imports(path)}
    assert not outside & BANNED_IN_PURE


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_module_is_too_long(path):
    assert len(path.read_text().splitlines()) <= LONGEST_MODULE, "make it two modules"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_function_is_too_long(path):
    functions = (
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    too_long = []
    for function in functions:
        body = function.body[1:] if ast.get_docstring(function) is not None else function.body
        lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
        if lines > LONGEST_FUNCTION:
            too_long.append(f"{function.name}: {lines}")
    assert too_long == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_can_be_imported_first(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    assert importlib.import_module(".".join(part for part in parts if part != "__init__"))


def test_importing_sets_nothing_and_loads_no_extra():
    """In a fresh interpreter: no handlers, no signals, and no optional dependencies."""
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

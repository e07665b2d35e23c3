"""Real servers for tests marked ``service``: started once, on free ports, and gone afterwards.

Without a binary such a test skips; with ``COACHSTREAM_REQUIRE_SERVICES=1`` it fails instead.
"""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pytest

TRIES = 600
PAUSE = 0.05
"""A server gets half a minute to answer."""
LEASH = '"$@" & read -r _; kill -INT $!; wait $!'
"""Runs a server until standard input ends, as it does even if these tests are killed."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server with nothing in it."""
    initdb, postgres = binary("initdb"), binary("postgres")
    asyncpg = driver("asyncpg")
    port = free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"

    async def answers() -> None:
        await (await asyncpg.connect(url, timeout=5)).close()

    user = server_user()
    with scratch(user) as home:
        data = str(home / "data")
        made = [initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(made, check=True, capture_output=True, user=user, cwd=home)
        # What is lost with the power is not asked here; without syncing the tests are fast.
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", str(home)]
        command = [postgres, "-D", data, "-p", str(port), *settings]
        with running(command, home, lambda: asyncio.run(answers()), user=user):
            yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a Redis server with nothing in it."""
    server = binary("redis-server")
    driver("redis")
    port = free_port()
    with scratch() as home:
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(home)]
        command += ["--save", "", "--appendonly", "no"]
        with running(command, home, lambda: says(port, b"+PONG", asked=b"PING\r\n")):
            yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def nats_server() -> Iterator[str]:
    """The URL of a NATS server that has JetStream, and nothing in it."""
    server = binary("nats-server")
    driver("nats")
    port = free_port()
    with scratch() as home:
        command = [server, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(home)]
        with running(command, home, lambda: says(port, b'"jetstream":true')):
            yield f"nats://127.0.0.1:{port}"


def binary(name: str) -> str:
    """Return where a server's program is."""
    # Debian keeps PostgreSQL's own programs away from PATH, by version.
    elsewhere = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(elsewhere[-1]) if elsewhere else None)
    return found or unavailable(f"{name} is not installed")


def driver(name: str) -> Any:
    """Return a driver library."""
    try:
        return import_module(name)
    except ImportError:
        unavailable(f"the Python package {name} is not installed")


def unavailable(reason: str) -> NoReturn:
    if os.environ.get("COACHSTREAM_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason}, and services are required")
    pytest.skip(reason, allow_module_level=True)


def server_user() -> str | None:
    """Who PostgreSQL is to run as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        unavailable("PostgreSQL does not run as root, and there is no user postgres")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def says(port: int, expected: bytes, *, asked: bytes = b"") -> None:
    """Raise unless a line of the server's, at once or to a question, has what is expected."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
        one.sendall(asked)
        if expected not in one.makefile("rb").readline():
            raise ConnectionError("not ready")


@contextmanager
def scratch(owner: str | None = None) -> Iterator[Path]:
    """Yield a directory that is removed in the end; short, because sockets have short paths."""
    home = Path(tempfile.mkdtemp(prefix="coachstream-"))
    try:
        if owner is not None:
            shutil.chown(home, owner)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running(
    command: Sequence[str], home: Path, answers: Callable[[], None], *, user: str | None = None
) -> Iterator[None]:
    """Run a server as soon as it answers, and until the end."""
    log = home / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["/bin/sh", "-c", LEASH, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=home,
            user=user,
        )
    try:
        until_ready(server, answers, log)
        yield
    finally:
        server.communicate(timeout=10)


def until_ready(server: subprocess.Popen[bytes], answers: Callable[[], None], log: Path) -> None:
    problem: Exception | None = None
    for _ in range(TRIES):
        try:
            return answers()
        except Exception as error:  # noqa: BLE001  # whatever it is, the server may yet come up
            problem = error
        with suppress(subprocess.TimeoutExpired):
            server.wait(PAUSE)
    text = log.read_text(errors="replace")
    raise RuntimeError(f"{server.args!r} does not answer: {problem!r}\n{text}")

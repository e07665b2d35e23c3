"""Real servers for tests marked ``service``: started once on free ports, and stopped at the end.

Without the server's program a test is skipped; with ``COACHSTREAM_REQUIRE_SERVICES=1`` it fails.
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
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

TRIES = 600
PAUSE = 0.05
"""Seconds between tries; a server has half a minute to start."""
RUN_UNTIL_STDIN_ENDS = 'stop=$1; shift; "$@" & read -r _; kill -$stop $!; wait $!'
"""Runs a server until standard input ends, which happens even if the tests are killed."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of an empty PostgreSQL server."""
    with temporary_directory(server_user()) as directory:
        make_postgres(directory)
        with running_postgres(directory) as url:
            yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of an empty Redis server."""
    with running_redis() as url:
        yield url


@pytest.fixture(scope="session")
def nats_server() -> Iterator[str]:
    """The URL of an empty NATS server with JetStream."""
    with running_nats() as url:
        yield url


def make_postgres(directory: Path) -> None:
    """Make an empty PostgreSQL cluster."""
    options = ["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
    command = [binary("initdb"), "-D", str(directory / "data"), *options]
    subprocess.run(command, check=True, capture_output=True, user=server_user(), cwd=directory)


@contextmanager
def running_postgres(directory: Path) -> Iterator[str]:
    """Run the PostgreSQL cluster in the directory; yield its URL."""
    asyncpg = driver("asyncpg")
    port = free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"

    async def check() -> None:
        await (await asyncpg.connect(url, timeout=5)).close()

    # Power failures are not tested here; without syncing the tests are fast.
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", str(directory)]
    command = [binary("postgres"), "-D", str(directory / "data"), "-p", str(port), *settings]
    with running(command, directory, lambda: asyncio.run(check()), user=server_user()):
        yield url


@contextmanager
def running_pgbouncer(server: str) -> Iterator[str]:
    """Run PgBouncer, which pools transactions, before a PostgreSQL server; yield its URL."""
    port, behind = free_port(), urlsplit(server)
    with temporary_directory(server_user()) as directory:
        settings = directory / "pgbouncer.ini"
        settings.write_text(
            "[databases]\n"
            f"postgres = host=127.0.0.1 port={behind.port} user=postgres\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n"
        )
        check = partial(check_connection, port)
        command = [binary("pgbouncer"), str(settings)]
        # At SIGINT it would wait for its clients.
        with running(command, directory, check, user=server_user(), stop="TERM"):
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


@contextmanager
def running_redis() -> Iterator[str]:
    """Run an empty Redis server; yield its URL."""
    server = binary("redis-server")
    driver("redis")
    port = free_port()
    with temporary_directory() as directory:
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)]
        command += ["--save", "", "--appendonly", "no"]
        with running(
            command, directory, lambda: check_greeting(port, b"+PONG", request=b"PING\r\n")
        ):
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def running_nats(settings: str = "") -> Iterator[str]:
    """Run an empty NATS server with JetStream; yield its URL."""
    server = binary("nats-server")
    driver("nats")
    port = free_port()
    with temporary_directory() as directory:
        file = directory / "settings"
        file.write_text(settings)
        command = [server, "-c", str(file), "-a", "127.0.0.1", "-p", str(port)]
        command += ["-js", "-sd", str(directory / "data")]
        with running(command, directory, lambda: check_greeting(port, b'"jetstream":true')):
            yield f"nats://127.0.0.1:{port}"


def binary(name: str) -> str:
    """Return the path of a server's program."""
    # Debian installs PostgreSQL's programs by version, outside of PATH.
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(debian[-1]) if debian else None)
    return found or skip_or_fail(f"{name} is not installed")


def driver(name: str) -> Any:
    """Import a driver library."""
    try:
        return import_module(name)
    except ImportError:
        skip_or_fail(f"the Python package {name} is not installed")


def skip_or_fail(reason: str) -> NoReturn:
    if os.environ.get("COACHSTREAM_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason}, and services are required")
    pytest.skip(reason, allow_module_level=True)


def server_user() -> str | None:
    """Return the user for PostgreSQL, which refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        skip_or_fail("PostgreSQL does not run as root, and there is no user postgres")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def check_greeting(port: int, expected: bytes, *, request: bytes = b"") -> None:
    """Raise an error unless the server's first line, after ``request``, contains ``expected``."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
        one.sendall(request)
        if expected not in one.makefile("rb").readline():
            raise ConnectionError("not ready")


def check_connection(port: int) -> None:
    """Raise an error unless a server listens."""
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


@contextmanager
def temporary_directory(owner: str | None = None) -> Iterator[Path]:
    """Yield a directory with a short path, as sockets need; it is removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="coachstream-"))
    try:
        if owner is not None:
            shutil.chown(directory, owner)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def running(
    command: Sequence[str],
    directory: Path,
    check: Callable[[], None],
    *,
    user: str | None = None,
    stop: str = "INT",
) -> Iterator[None]:
    """Start a server, wait until it responds, and stop it at the end with this signal."""
    log = directory / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["/bin/sh", "-c", RUN_UNTIL_STDIN_ENDS, "sh", stop, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=directory,
            user=user,
        )
    try:
        wait_until_ready(server, check, log)
        yield
    finally:
        server.communicate(timeout=10)


def wait_until_ready(server: subprocess.Popen[bytes], check: Callable[[], None], log: Path) -> None:
    problem: Exception | None = None
    for _ in range(TRIES):
        try:
            return check()
        except Exception as error:  # noqa: BLE001  # the server may still be starting
            problem = error
        with suppress(subprocess.TimeoutExpired):
            server.wait(PAUSE)
    text = log.read_text(errors="replace")
    raise RuntimeError(f"{server.args!r} does not respond: {problem!r}\n{text}")

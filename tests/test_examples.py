"""The examples are run, against the server that the environment names."""

import asyncio
import importlib.util
import logging
import os
import signal
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from coachstream import SystemClock
from coachstream.emulator import Emulator, World, refuse
from tests.support.emulated import TOKEN

EXAMPLES = Path(__file__).parent.parent / "examples"
ARGUMENTS = {"consume": ["sessions.db"], "follow": [], "service": ["position.db"]}


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Return a world whose time is now, and set a token."""
    monkeypatch.setenv("SAMSARA_API_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    return World(sessions=300, now=SystemClock().now(), changes_per_hour=0)


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_run_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*ARGUMENTS, "web"}


async def until(condition):
    while not condition():
        await SystemClock().sleep(0.01)


@asynccontextmanager
async def emulator(world, monkeypatch):
    """Run the server, with all there is to read on one page."""
    async with Emulator(world, token=TOKEN, speed=0, page_size=1000) as api:
        monkeypatch.setenv("SAMSARA_BASE_URL", api.url)
        yield api


@pytest.mark.parametrize("name", ARGUMENTS)
async def test_an_example_shows_every_session(name, world, monkeypatch, capsys):
    printed = ""

    def all_is_printed():
        nonlocal printed
        printed += capsys.readouterr().out
        return api.requests and all(id_ in printed for id_, _ in api.requests[0].served)

    async with emulator(world, monkeypatch) as api:
        task = asyncio.create_task(load(name).main(*ARGUMENTS[name]))
        await until(lambda: task.done() or all_is_printed())
        assert not task.done()
        assert api.requests[0].served
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_service_stops_on_a_signal_when_its_handlers_have_ended(
    number, world, monkeypatch, capsys, caplog
):
    module, release, begun, ended = load("service"), asyncio.Event(), [], []

    async def slow(session):
        begun.append(session.id)
        await release.wait()
        ended.append(session.id)

    monkeypatch.setattr(module, "on_session", slow)
    caplog.set_level(logging.INFO, "coachstream")
    async with emulator(world, monkeypatch):
        task = asyncio.create_task(module.main("position.db"))
        await until(lambda: begun)
        os.kill(os.getpid(), number)
        await until(lambda: "stream ended" in caplog.text)
        release.set()
        await task
    assert begun == ended
    assert f"stopped: {len(ended)} handled, " in capsys.readouterr().out


async def test_the_web_application_says_when_its_consumer_has_failed(world, monkeypatch):
    app = load("web").app
    async with (
        emulator(world, monkeypatch) as api,
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://web") as web,
    ):
        while not (await web.get("/statuses")).json():
            await SystemClock().sleep(0.01)
        health = await web.get("/health")
        assert (health.status_code, health.json()["last_error"]) == (200, None)
        api.faults.append(refuse(403))
        while (health := await web.get("/health")).status_code == 200:
            await SystemClock().sleep(0.1)
        assert health.status_code == 503
        assert health.json()["last_error"].startswith("ForbiddenError: ")

"""How commands reach the server: through a company's proxy, which breaks TLS open."""

import asyncio
import re
import ssl

import pytest
from click import ClickException
from yarl import URL

from coachstream import SystemClock
from coachstream.cli import connection
from coachstream.emulator import Emulator, World
from tests.cli.processes import run_in_thread
from tests.support.emulated import LONG_AGO, TOKEN
from tests.support.proxies import CompanyNetwork

HOST = "api.example"
TAIL = ("tail", "--base-url", f"https://{HOST}", "--since", "90d", "--until", "0m")
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_command_reaches_the_server_through_a_proxy_with_the_companys_certificates(
    tmp_path,
):
    """It takes the proxy from the environment, and no credentials."""
    (tmp_path / ".netrc").write_text(
        f"machine {HOST} login me password netrc-secret\n"
        "machine 127.0.0.1 login me password netrc-secret\n"
    )
    (tmp_path / ".netrc").chmod(0o600)
    ca_file = str(tmp_path / "ca.pem")
    async with (
        Emulator(
            World(sessions=5, changes_per_hour=0, now=SystemClock().now()), token="tok-tok-token"
        ) as api,
        CompanyNetwork(HOST).leading_to(api.url) as network,
    ):
        network.authority.cert_pem.write_to_path(ca_file)
        environment = {
            "HTTPS_PROXY": f"http://127.0.0.1:{network.port}",
            "HOME": str(tmp_path),
            "SSL_CERT_FILE": "/dev/null",
        }
        code, out, err = await run_in_thread(*TAIL, "--ca-file", ca_file, env=environment)
        assert (code, len(out.splitlines()), err) == (0, 5, "")
        assert not re.search("authorization", "".join(network.asked), re.IGNORECASE)
        assert all("netrc" not in str(request.headers) for request in api.requests)

        environment["HTTPS_PROXY"] = f"http://me:proxy-secret@127.0.0.1:{network.port}"
        environment["SSL_CERT_FILE"] = ca_file
        code, out, err = await run_in_thread(*TAIL, env=environment)
        assert (code, len(out.splitlines()), err) == (0, 5, "")
        assert "Proxy-Authorization: Basic " in network.asked[-1]


async def test_an_untrusted_certificate_ends_a_command_at_once():
    async with (
        Emulator(World(sessions=0)) as api,
        CompanyNetwork(HOST).leading_to(api.url) as network,
    ):
        proxy = {"HTTPS_PROXY": f"http://127.0.0.1:{network.port}"}
        code, out, err = await run_in_thread(*TAIL, env=proxy)
        assert (code, out) == (1, "")
        (line,) = err.splitlines()
        assert line.startswith(f"Error: the certificate of {HOST} is not trusted: ")
        assert "--ca-file or SSL_CERT_FILE" in line
        assert len(network.asked) == 1


async def test_a_proxy_that_refuses_is_called_so(monkeypatch, caplog):
    async with CompanyNetwork(HOST).leading_to("http://127.0.0.1:1") as network:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{network.port}")
        monkeypatch.setenv("SAMSARA_API_TOKEN", TOKEN)
        async with connection.connect(
            region="us",
            base_url="https://elsewhere.example",
            allow_http=False,
            api_version=None,
            ca_file=None,
        ) as client:
            reading = asyncio.ensure_future(anext(client.sessions.stream(start_time=LONG_AGO)))
            while "ConnectError: the proxy refused to connect: 403" not in caplog.text:
                await SystemClock().sleep(0.01)
            reading.cancel()
            await asyncio.wait([reading])


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://one:1"}, "http://one:1"),
        ({"https_proxy": "one:1"}, "http://one:1"),
        ({"ALL_PROXY": "https://one:1"}, "https://one:1"),
        ({"HTTPS_PROXY": "http://one:1", "NO_PROXY": ".example"}, None),
        ({"HTTP_PROXY": "http://one:1"}, None),
    ],
)
def test_the_usual_variables_name_the_proxy(variables, proxy, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert connection.proxy_for(URL(f"https://{HOST}")) == proxy


def test_plain_http_never_takes_a_proxy_which_would_see_the_token(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://one:1")
    monkeypatch.setenv("ALL_PROXY", "http://one:1")
    assert connection.proxy_for(URL("http://127.0.0.1:8080")) is None


def test_a_proxy_that_speaks_no_http_is_refused(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:proxy-secret@one:1")
    with pytest.raises(ClickException, match="^HTTPS_PROXY: .*socks5") as caught:
        connection.proxy_for(URL(f"https://{HOST}"))
    assert "secret" not in str(caught.value)


def test_a_file_without_certificates_is_refused(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(ClickException, match="^--ca-file: .*ca.pem"):
        connection.trusting(str(file))
    assert connection.trusting(None).verify_mode is ssl.CERT_REQUIRED

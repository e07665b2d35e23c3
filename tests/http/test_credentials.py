"""The token: where it comes from, when it is renewed, and what its provider may do wrong."""

import asyncio
from typing import Any

import pytest

import coachstream
from coachstream import (
    Client,
    ClosedError,
    InvalidArgumentError,
    RetryPolicy,
    TokenUnavailableError,
    UnauthorizedError,
)
from coachstream.emulator import Emulator, World, refuse
from coachstream.telemetry import CallOverdue, RetryScheduled, TokenRenewed, TokenTrimmed
from tests.support.emulated import LONG_AGO, TOKEN
from tests.support.virtual_time import LoopClock, pass_time, virtual

ONCE: dict[str, Any] = {"retry": RetryPolicy(attempts=1)}


async def first(listing):
    return [one async for one in listing]


async def one_page(api, client):
    """Ask for something that takes one request."""
    return await first(client.assignments.list(driver_ids=[next(iter(api.world.assignments))]))


class Provider:
    """Gives tokens in turn, slowly, and never two at once."""

    def __init__(self, *tokens):
        self.tokens = list(tokens)
        self.asked = 0
        self._busy = False

    async def __call__(self):
        assert not self._busy
        self._busy = True
        await pass_time(1)
        self._busy = False
        self.asked += 1
        token = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
        if isinstance(token, BaseException):
            raise token
        return token


@virtual
@pytest.mark.parametrize("source", ["SAMSARA_API_TOKEN", "the token", "the provider's token"])
async def test_a_line_break_at_the_end_of_a_token_is_left_out_with_a_warning(
    source, monkeypatch, caplog
):
    given = f"{TOKEN}\r\n"
    monkeypatch.setenv("SAMSARA_API_TOKEN", given)
    tokens = {
        "SAMSARA_API_TOKEN": None,
        "the token": given,
        "the provider's token": Provider(given),
    }
    async with (
        Emulator(token=TOKEN) as api,
        Client(tokens[source], base_url=api.url, clock=LoopClock()) as client,
    ):
        assert await one_page(api, client)
        assert await one_page(api, client)
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.name == "coachstream.requests"
    assert record.getMessage().startswith(f"token trimmed: {source} ended with a line break")
    assert repr(TokenTrimmed(source=source)) == f"TokenTrimmed(source={source!r})"


@virtual
async def test_a_provider_is_asked_when_needed_and_again_after_a_401():
    provider = Provider("old", TOKEN)
    events: list[coachstream.Event] = []
    async with (
        Emulator(token=TOKEN) as api,
        Client(provider, base_url=api.url, clock=LoopClock(), observer=events.append) as client,
    ):
        assert provider.asked == 0
        results = await asyncio.gather(*(first(client.assignments.list()) for _ in range(4)))
        assert all(results)
        assert provider.asked == 2, "once for all who were refused"
        assert TokenRenewed() in events


@virtual
async def test_a_provider_that_has_no_other_token_is_not_asked_for_ever():
    provider = Provider("old")
    async with (
        Emulator(token=TOKEN) as api,
        Client(provider, base_url=api.url, clock=LoopClock()) as client,
    ):
        with pytest.raises(UnauthorizedError):
            await anext(client.sessions.stream(start_time=LONG_AGO))
        assert (provider.asked, len(api.requests)) == (2, 1)


@virtual
async def test_a_second_refusal_in_a_row_is_raised():
    async with (
        Emulator(token=TOKEN) as api,
        Client(Provider("old", "older"), base_url=api.url, clock=LoopClock()) as client,
    ):
        with pytest.raises(UnauthorizedError):
            await anext(client.sessions.stream(start_time=LONG_AGO))
        assert len(api.requests) == 2


@pytest.mark.parametrize("token", ["", "a\nb", None, b"bytes"])
def test_a_provider_that_gives_no_token_is_told_so(token):
    @virtual
    async def run():
        async with Client(Provider(token), clock=LoopClock()) as client:
            with pytest.raises(InvalidArgumentError, match="^token: the provider"):
                await first(client.assignments.list())

    run()


async def test_a_provider_that_is_not_async_is_told_so():
    async with Client(lambda: TOKEN, **ONCE) as client:  # type: ignore[arg-type,return-value]
        with pytest.raises(InvalidArgumentError, match="^token: .* returned str$"):
            await first(client.assignments.list())


@virtual
async def test_a_provider_that_hangs_is_a_time_out():
    async def hang():
        await asyncio.Event().wait()

    async with Client(hang, clock=LoopClock(), timeout=10, **ONCE) as client:
        with pytest.raises(TokenUnavailableError, match="TimeoutError"):
            await first(client.assignments.list())


@virtual
async def test_a_refresh_is_not_cut_off_by_whoever_waits_for_it():
    provider = Provider(TOKEN)
    async with (
        Emulator(token=TOKEN) as api,
        Client(provider, base_url=api.url, clock=LoopClock()) as client,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.assignments.unassign(api.world.drivers[0])
        assert await one_page(api, client)
        assert provider.asked == 1


def client_of(api, provider, **more):
    return Client(provider, **({"base_url": api.url, "clock": LoopClock()} | more))


# A provider that fails


@pytest.mark.parametrize(
    "failure",
    [
        OSError("no route"),
        TimeoutError(),
        KeyError("client_id"),
        ExceptionGroup("all", [ValueError("no")]),
        asyncio.CancelledError(),
        StopAsyncIteration(),
        coachstream.BadRequestError(400, "invalid_client"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_whatever_a_provider_raises_it_is_asked_again(failure):
    @virtual
    async def run():
        provider = Provider(failure, failure, TOKEN)
        async with Emulator(token=TOKEN) as api, client_of(api, provider) as client:
            assert await one_page(api, client)
            assert (provider.asked, len(api.requests)) == (3, 1)
            stream = client.sessions.stream(start_time=LONG_AGO)
            assert await anext(stream)

    run()


@virtual
async def test_a_provider_that_always_fails_is_named_with_its_kind_of_failure_only():
    provider = Provider(KeyError("client-secret"))
    async with Client(provider, clock=LoopClock(), **ONCE) as client:
        with pytest.raises(TokenUnavailableError, match="failed: KeyError$"):
            await first(client.assignments.list())


@virtual
async def test_a_provider_says_explicitly_that_there_will_be_no_more_tokens():
    provider = Provider(UnauthorizedError(401, "the refresh token was revoked"))
    async with Client(provider, clock=LoopClock()) as client:
        with pytest.raises(UnauthorizedError, match="revoked"):
            await anext(client.sessions.stream(start_time=LONG_AGO))
        assert provider.asked == 1


@virtual
async def test_a_cancellation_that_nobody_asked_for_is_a_failure_of_the_provider():
    async def cancelled():
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task

    async with Client(cancelled, clock=LoopClock(), **ONCE) as client:
        with pytest.raises(TokenUnavailableError):
            await first(client.assignments.list())


# A provider that is slow, or hangs


@pytest.mark.parametrize("tokens", [(), ("old",)], ids=["at the first token", "after a 401"])
def test_a_provider_that_hangs_once_is_asked_anew(tokens):
    @virtual
    async def run():
        provider, hung = Provider(*tokens, TOKEN), []

        async def hang_once():
            if provider.asked == len(tokens) and not hung:
                hung.append(True)
                await asyncio.Event().wait()
            return await provider()

        events: list[coachstream.Event] = []
        async with (
            Emulator(token=TOKEN) as api,
            client_of(api, hang_once, timeout=10, observer=events.append) as client,
        ):
            stream = client.sessions.stream(start_time=LONG_AGO)
            async with asyncio.timeout(120):
                assert await anext(stream)
        (overdue,) = [event for event in events if isinstance(event, CallOverdue)]
        assert overdue.what == "the token provider"
        (retried,) = [event for event in events if isinstance(event, RetryScheduled)]
        assert isinstance(retried.error, TokenUnavailableError)

    run()


@virtual
async def test_every_stream_that_waits_for_a_provider_that_hangs_reports_it():
    async def hang():
        await asyncio.Event().wait()

    events: list[coachstream.Event] = []
    async with Client(hang, clock=LoopClock(), observer=events.append) as client:
        streams = [client.sessions.stream(start_time=LONG_AGO) for _ in range(3)]
        tasks = [asyncio.ensure_future(anext(stream)) for stream in streams]
        await pass_time(35)
        assert sum(isinstance(event, CallOverdue) for event in events) == len(streams)
    assert all(isinstance(task.exception(), ClosedError) for task in tasks)


@virtual
async def test_the_token_of_a_slow_provider_is_kept_when_nobody_waits_any_more():
    provider = Provider(TOKEN)
    async with Emulator(token=TOKEN) as api, client_of(api, provider) as client:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    await client.assignments.unassign("1")
        await pass_time(5)
        assert await one_page(api, client)
        assert provider.asked == 1


@virtual
async def test_a_provider_slower_than_the_time_out_is_used():
    async def slow():
        await pass_time(12)
        return TOKEN

    async with Emulator(token=TOKEN) as api, client_of(api, slow, timeout=10, **ONCE) as client:
        assert await one_page(api, client)


# Closing


@virtual
async def test_closing_lets_a_refresh_finish():
    """The server has replaced the refresh token: cut in two, the next start gets invalid_grant."""
    kept = []

    async def refresh():
        await pass_time(4)  # the server's answer is on its way
        kept.append("the new refresh token")
        return TOKEN

    async with Emulator(token=TOKEN) as api, client_of(api, refresh) as client:
        stream = client.sessions.stream(start_time=LONG_AGO)
        waiting = asyncio.ensure_future(anext(stream))
        await pass_time(1)
        began = LoopClock().monotonic()
    assert kept
    assert 3 <= LoopClock().monotonic() - began < 4
    assert isinstance(waiting.exception(), ClosedError)


@virtual
async def test_closing_does_not_wait_for_ever_for_a_refresh():
    async def hang():
        await asyncio.Event().wait()

    async with Client(hang, clock=LoopClock()) as client:
        waiting = asyncio.ensure_future(client.assignments.unassign("1"))
        await pass_time(1)
        began = LoopClock().monotonic()
    assert LoopClock().monotonic() - began < 15
    assert isinstance(waiting.exception(), ClosedError)


# Tokens that do not live long


class ShortLived:
    """A provider, and the server's view: each token is good for some seconds."""

    def __init__(self, api, life):
        self.api, self.life, self.issued = api, life, 0

    async def __call__(self):
        await pass_time(0.05)
        self.issued += 1
        token = self.api._api._token = f"tok-tok-token-{self.issued}"
        asyncio.get_running_loop().call_later(self.life, self._expire, token)
        return token

    def _expire(self, token):
        if self.api._api._token == token:
            self.api._api._token = "expired"


@pytest.mark.parametrize("life", [5, 0.5])
def test_no_stream_dies_of_a_401_while_the_provider_has_a_good_token(life):
    @virtual
    async def run():
        async with (
            Emulator(World(sessions=0, changes_per_hour=0), token="none yet") as api,
            client_of(api, ShortLived(api, life)) as client,
        ):
            streams = [client.sessions.stream(start_time=LONG_AGO) for _ in range(30)]

            async def follow(stream):
                async for _ in stream:
                    pass

            tasks = [asyncio.ensure_future(follow(stream)) for stream in streams]
            await pass_time(60)
            assert not [task.exception() for task in tasks if task.done()]
            refused = [request for request in api.requests if request.status == 401]
            assert 0 < len(refused) < len(api.requests) / 2

    run()


@virtual
async def test_a_401_is_final_only_for_the_providers_newest_token():
    async with Emulator(token="none yet") as api, client_of(api, ShortLived(api, 5)) as client:
        await one_page(api, client)
        await pass_time(10)
        api.faults.append(refuse(429, retry_after=60))
        # The first is refused. The second gets a new token, and a 429. So the first waits until
        # that token, which it did not ask for, has expired, too.
        await asyncio.gather(one_page(api, client), one_page(api, client))
        statuses = [request.status for request in api.requests]
        assert statuses == [200, 401, 429, 401, 200, 200]


@virtual
async def test_a_token_that_expires_while_the_gate_is_shut_is_renewed():
    async with Emulator(token="none yet") as api, client_of(api, ShortLived(api, 5)) as client:
        for seconds in (60, 60, 60):
            api.faults.append(refuse(429, retry_after=seconds))
            assert await one_page(api, client)


@virtual
async def test_401s_one_after_another_for_one_token_ask_the_provider_once():
    provider = Provider("old", TOKEN)
    delays = iter([1.0, 4.0, 8.0, 12.0])
    async with Emulator(token=TOKEN) as api, client_of(api, provider) as client:
        send = client._transport._exchange.send

        async def answer_late(*args, token, **kwargs):
            response = await send(*args, token=token, **kwargs)
            if response.status == 401:
                await pass_time(next(delays))
            return response

        client._transport._exchange.send = answer_late
        await asyncio.gather(*(one_page(api, client) for _ in range(4)))
        assert [request.status for request in api.requests].count(401) == 4
        assert provider.asked == 2


@virtual
async def test_ever_new_tokens_that_are_all_refused_end_in_the_401():
    issued = []

    async def provide():
        issued.append(f"tok-tok-token-{len(issued)}")
        return issued[-1]

    async with Emulator(token=TOKEN) as api, client_of(api, provide) as client:
        with pytest.raises(UnauthorizedError):
            await anext(client.sessions.stream(start_time=LONG_AGO))
        assert len(issued) == len(api.requests) == 2

"""Arguments of the wrong kind are refused at the call, with an error that names them."""

import asyncio
import functools
import math
from datetime import UTC, datetime, timedelta
from types import FunctionType
from typing import Any
from unittest.mock import AsyncMock

import pytest

from coachstream import (
    Client,
    FileLedger,
    InvalidArgumentError,
    MemoryLedger,
    RateLimits,
    Retry,
    RetryPolicy,
    SystemClock,
    arguments,
    consume,
)
from coachstream.arguments import NotAsyncError
from coachstream.checkpoints import MemoryStore
from tests.support.emulated import LONG_AGO, TOKEN

HUGE = 10**400
ODD: list[Any] = [
    False,
    True,
    0,
    7,
    math.nan,
    HUGE,
    "",
    "x x",
    b"x",
    {},
    [],
    (),
    object(),
    dict,
    lambda: None,
]
FLAGS, NUMBERS = (bool,), (int, float)
CALLED = (FunctionType,)  # refused when they are called

CLIENT = {
    "region": (),
    "base_url": (),
    "allow_http": FLAGS,
    "api_version": (),
    "rate_limits": (),
    "retry": (),
    "timeout": NUMBERS,
    "http": (),
    "clock": (),
    "random": (),
}
STREAM = {
    "start_time": (),
    "end_time": (),
    "driver_ids": (),
    "coach_ids": (),
    "session_statuses": (),
    "include_coachable_events": FLAGS,
    "include_external_ids": FLAGS,
    "poll_interval": NUMBERS,
    "keep_raw": FLAGS,
    "on_malformed": CALLED,
    "on_expired": (),
}
LIST = {"driver_ids": (), "coach_ids": (), "include_external_ids": FLAGS, "on_malformed": CALLED}
CONSUME = {
    "handler": CALLED,
    "on_failure": (),
    "retry": (),
    "ledger": (),
    "drain_timeout": NUMBERS,
    "clock": (),
    "random": (),
}


def refuses(call, argument, kinds):
    """Assert that every odd value that is of none of the kinds is refused by name."""
    for value in ODD:
        if type(value) in kinds and (type(value) in {bool, FunctionType} or value == 7):
            continue
        with pytest.raises(InvalidArgumentError, match=f"^{argument}: "):
            call(**{argument: value})


@pytest.mark.parametrize(("argument", "kinds"), CLIENT.items())
async def test_a_client_refuses_what_is_none(argument, kinds):
    refuses(functools.partial(Client, TOKEN), argument, kinds)


@pytest.mark.parametrize(("argument", "kinds"), STREAM.items())
@pytest.mark.parametrize("method", ["stream", "backfill"])
async def test_a_stream_refuses_what_is_none(method, argument, kinds):
    if (method, argument) == ("backfill", "poll_interval"):
        return
    async with Client(TOKEN) as client:
        end = {} if method == "stream" else {"end_time": datetime(2026, 1, 1, tzinfo=UTC)}
        make = functools.partial(getattr(client.sessions, method), start_time=LONG_AGO, **end)
        refuses(make, argument, kinds)


@pytest.mark.parametrize("end_time", [None, LONG_AGO])
async def test_a_stream_and_a_snapshot_refuse_less_than_one_reader(end_time):
    async with Client(TOKEN) as client:
        make = functools.partial(client.sessions.stream, start_time=LONG_AGO, end_time=end_time)
        for readers in (0, -1):
            with pytest.raises(InvalidArgumentError, match="^readers: "):
                make(readers=readers)


@pytest.mark.parametrize(("argument", "kinds"), LIST.items())
async def test_a_list_refuses_what_is_none(argument, kinds):
    async with Client(TOKEN) as client:
        refuses(client.assignments.list, argument, kinds)


async def handler(session):
    raise AssertionError


async def no_pages(_):
    for page in ():
        yield page


@pytest.mark.parametrize(("argument", "kinds"), CONSUME.items())
def test_consume_refuses_what_is_none(argument, kinds):
    given: dict[str, Any] = {"stream": no_pages, "handler": handler, "name": "it", "store": {}}

    def run(**odd):
        return asyncio.run(consume(**(given | odd)))

    refuses(run, argument, kinds)


@pytest.mark.parametrize("argument", ["first_delay", "max_delay", "give_up_after"])
def test_a_retry_policy_refuses_what_is_no_number(argument):
    refuses(RetryPolicy, argument, NUMBERS)


@pytest.mark.parametrize("argument", ["sessions", "assignments"])
def test_rate_limits_refuse_what_is_no_number(argument):
    refuses(RateLimits, argument, NUMBERS)


@pytest.mark.parametrize(
    ("argument", "kind"),
    [
        ("ledger", MemoryLedger),
        ("clock", SystemClock),
        ("store", MemoryStore),
        ("retry", RetryPolicy),
    ],
)
async def test_a_class_is_no_object_of_its_own(argument, kind):
    given: dict[str, Any] = {"stream": no_pages, "handler": handler, "name": "it", "store": {}}
    with pytest.raises(InvalidArgumentError, match=f"^{argument}: "):
        await consume(**(given | {argument: kind}))


@pytest.mark.parametrize("odd", [None, 7, "x", b"x", [], {}, object(), no_pages(None), lambda _: 7])
async def test_a_consumer_refuses_what_gives_no_pages(odd):
    with pytest.raises(InvalidArgumentError, match="^stream: "):
        await consume(odd, handler, name="it", store={})


def test_a_retry_may_be_at_once_but_not_in_the_past():
    assert Retry(after=0).after == Retry(after=timedelta()).after == 0
    assert Retry(after=timedelta(minutes=1)).after == 60
    odd_ones: list[Any] = [-1, timedelta(seconds=-1), math.nan, HUGE, False, "1", [], {}]
    for odd in odd_ones:
        with pytest.raises(InvalidArgumentError, match="^after: "):
            Retry(after=odd)


@pytest.mark.parametrize("odd", [None, 7, b"x", "", "/", ".", [], object()])
def test_a_ledger_refuses_what_is_no_path(odd):
    with pytest.raises(InvalidArgumentError, match="^path: "):
        FileLedger(odd)


@pytest.mark.parametrize("odd", [True, False, math.nan, -0.1, 1.1, HUGE, "0.5", None])
def test_a_fraction_is_a_number_from_0_to_1(odd):
    with pytest.raises(InvalidArgumentError, match="^share: "):
        arguments.fraction("share", odd)
    assert [arguments.fraction("share", one) for one in (0, 0.5, 1)] == [0, 0.5, 1]


class Called:
    async def __call__(self, *_):
        return None

    async def method(self):
        return None


class PlainlyCalled:
    def __call__(self, *_):
        return None


async def generator(*_):
    yield None


async def double(number):
    return 2 * number


@functools.wraps(double)
def decorated(number):
    return double(number)


class Lazy:
    """Neither it nor its class says that a call returns an awaitable."""

    def __call__(self, number):
        return double(number)


class Awaitable:
    def __init__(self, number):
        self._number = number

    def __await__(self):
        return double(self._number).__await__()


TAKEN: dict[str, Any] = {
    "an async function": double,
    "a lambda": lambda number: double(number + 0),
    "a decorated function": decorated,
    "an object": Lazy(),
    "a method": Lazy().__call__,
    "a partial object": functools.partial(Lazy()),
    "a partial lambda": functools.partial(lambda _, number: double(number), 1),
    "a class": Awaitable,
    "a function that returns a future": lambda number: asyncio.ensure_future(double(number)),
    "a mock": AsyncMock(return_value=14),
}


@pytest.mark.parametrize("value", TAKEN.values(), ids=TAKEN)
async def test_whatever_returns_an_awaitable_is_taken(value):
    assert await arguments.async_function("it", value)(7) == 14


@pytest.mark.parametrize("result", [None, 7, "x", [], generator()])
async def test_what_proves_to_return_no_awaitable_is_refused_by_name(result):
    function = arguments.async_function("it", lambda: result)
    with pytest.raises(NotAsyncError, match=f"^it: .* returned {type(result).__name__}$"):
        await function()


ASYNC = {
    "a function": handler,
    "a method": Called().method,
    "an object": Called(),
    "a partial function": functools.partial(handler, 1),
    "a partial object": functools.partial(functools.partial(Called()), 1),
    "a mock": AsyncMock(),
}
PLAIN = {
    "a function": lambda *_: None,
    "an object": PlainlyCalled(),
    "a builtin": print,
    "a class whose objects are async": Called,
    "a partial function": functools.partial(print, end=""),
}


@pytest.mark.parametrize("value", ASYNC.values(), ids=ASYNC)
def test_what_makes_a_coroutine_is_async(value):
    arguments.async_function("it", value)
    with pytest.raises(InvalidArgumentError, match="^it: "):
        arguments.sync_function("it", value)


@pytest.mark.parametrize("value", PLAIN.values(), ids=PLAIN)
def test_what_makes_no_coroutine_is_plain(value):
    arguments.sync_function("it", value)


@pytest.mark.parametrize("value", [generator, functools.partial(generator), 7, None])
def test_an_async_generator_is_neither(value):
    for check in (arguments.sync_function, arguments.async_function):
        with pytest.raises(InvalidArgumentError, match="^it: "):
            check("it", value)


def test_a_class_whose_objects_can_not_be_awaited_is_refused_at_once():
    odd: Any = Called
    with pytest.raises(InvalidArgumentError, match="^it: needs an async function$"):
        arguments.async_function("it", odd)

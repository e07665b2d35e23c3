"""Log lines, and the reprs of what may get into one, show no notes about people."""

import json
import logging
import traceback

import msgspec
import pytest
from rich.pretty import pretty_repr

from coachstream import (
    ConnectError,
    FailedSession,
    MalformedSessionError,
    UndecodableError,
    telemetry,
)
from coachstream.brief import brief_error
from coachstream.checkpoints import MemoryStore
from coachstream.emulator import World, malformed_session
from coachstream.observers.logging import log_event
from coachstream.wire import pages
from tests.support import payloads
from tests.support.emulated import LONG_AGO, feed
from tests.support.leaks import shows_notes
from tests.support.virtual_time import virtual

NOTE = payloads.SESSION["sessionNote"]
(SESSION,) = pages.sessions_page(payloads.page(payloads.SESSION)).sessions
(MALFORMED,) = pages.sessions_page(payloads.page(payloads.SESSION | {"driver": 7})).malformed


def raised(error):
    """The error with a traceback, as a handler raises it."""
    try:
        raise error
    except type(error) as caught:
        return caught


HANDLERS = [
    ValueError(NOTE),
    KeyError(SESSION),
    AssertionError(f"{SESSION}, {SESSION.behaviors}"),
    MALFORMED,
]


@pytest.mark.parametrize("show", [repr, str, pretty_repr])
@pytest.mark.parametrize(
    "value", [SESSION, SESSION.behaviors, pages.sessions_page(payloads.page(payloads.SESSION))]
)
def test_the_repr_of_a_session_shows_neither_notes_nor_behaviors(show, value):
    assert not shows_notes(show(value))
    assert payloads.UUID in show(value)
    assert "2019" in show(value)


def test_a_malformed_session_keeps_its_bytes_as_an_attribute_alone():
    assert NOTE in json.loads(MALFORMED.raw)["sessionNote"]
    for shown in (str(MALFORMED), repr(MALFORMED), *traceback.format_exception(MALFORMED)):
        assert not shows_notes(shown)
    assert payloads.UUID in str(MALFORMED)


def test_an_odd_id_is_shown_printable_and_cut():
    error = MalformedSessionError("x", raw=b"", session_id="\x1b[2J\n" + "1" * 10**6)
    assert str(error).isprintable()
    assert len(str(error)) < 200
    assert len(error.session_id or "") > 10**6


@pytest.mark.parametrize("error", HANDLERS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("how", [lambda error: error, raised])
def test_no_event_and_no_line_shows_what_a_handler_quotes(error, how, caplog):
    caplog.set_level(logging.DEBUG, "coachstream")
    events = [
        telemetry.HandlerFailed(name="n", session_id="s", attempt=1, delay=None, error=how(error)),
        telemetry.SessionGivenUp(name="n", session_id="s", outcome="parked", error=how(error)),
        telemetry.ConsumerStopped(name="n", handled=1, given_up=0, unsettled=0, error=how(error)),
        telemetry.StreamEnded(error=how(error)),
    ]
    for event in events:
        log_event(event)
        assert not shows_notes(repr(event))
        assert type(error).__name__ in repr(event)
        assert msgspec.structs.asdict(event)["error"] is error
    assert len(caplog.records) == len(events)
    for record in caplog.records:
        assert not shows_notes(f"{record.getMessage()} {record.args!r}")
        assert type(error).__name__ in record.getMessage()


def test_an_error_is_shown_with_its_words_or_its_place():
    assert brief_error(ConnectError("refused")) == "ConnectError: refused"
    assert brief_error(OSError(28, "No space left")) == "OSError: [Errno 28] No space left"
    assert brief_error(raised(ValueError(NOTE))).startswith("ValueError in test_brief.py:")
    assert brief_error(ValueError(NOTE)) == "ValueError"
    with pytest.raises(UndecodableError) as caught:
        pages.sessions_page(b"[]")
    assert brief_error(caught.value) == f"UndecodableError: {caught.value}"


class UnspeakableError(OSError):
    def __str__(self):
        raise RuntimeError("no words")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (UnspeakableError(), "UnspeakableError: (describing it raised RuntimeError)"),
        (OSError("\x1b[2J\n" + "x" * 10**7), "OSError: \\x1b[2J xxx"),
        (OSError("half a pair: \ud83d"), "OSError: half a pair: \\ud83d"),
    ],
    ids=["raises", "long", "surrogate"],
)
def test_any_error_can_be_shown_on_one_line_printable_and_cut(error, shown, caplog):
    assert brief_error(error).startswith(shown)
    for event in (
        telemetry.SaveFailed(name="n", attempt=1, delay=1, error=error),
        telemetry.StreamEnded(error=error),
    ):
        log_event(event)
        for line in (caplog.messages[-1], repr(event)):
            assert shown[:20] in line.replace("\\\\", "\\")
            assert line.isprintable()
            assert len(line) < 5_000


@pytest.mark.parametrize("error", [UnspeakableError(), OSError("x" * 10**7)])
def test_a_store_whose_error_cannot_be_spelled_is_asked_again_like_any(error):
    class Store(MemoryStore):
        failing = [error] * 3

        async def load(self, name):
            if self.failing:
                raise self.failing.pop()
            return await super().load(name)

    @virtual
    async def test():
        async with feed(World(sessions=5, changes_per_hour=0)) as (api, client, _):
            stream = client.sessions.stream(
                start_time=LONG_AGO, end_time=api.now, name="n", store=Store()
            )
            assert len([one async for one in stream]) == 5
            assert len(stream.health.last_error or "") < 5_000

    test()


def test_the_words_of_a_store_are_shown(caplog):
    log_event(telemetry.SaveFailed(name="n", attempt=1, delay=1, error=RuntimeError("no space")))
    log_event(telemetry.LoadFailed(name="n", attempt=1, delay=1, error=RuntimeError("no space")))
    assert [record.getMessage().count("no space") for record in caplog.records] == [1, 1]


@virtual
async def test_nothing_that_a_stream_shows_has_notes(caplog):
    caplog.set_level(logging.DEBUG, "coachstream")
    world = World(sessions=60, changes_per_hour=0)
    client = {"observer": None}
    faults = [malformed_session(), malformed_session(updatedAtTime=None)]
    async with feed(world, faults=faults, client=client, page_size=20) as (api, one, _):

        async def settle(error):
            assert not shows_notes(f"{error} {error!r}")

        stream = one.sessions.stream(start_time=LONG_AGO, end_time=api.now, on_malformed=settle)
        async for session in stream:
            assert not shows_notes(f"{session} {stream} {stream.health} {stream.position}")
    assert "malformed session" in caplog.text
    assert not shows_notes(caplog.text)


def test_a_failed_session_shows_neither_its_json_nor_the_handlers_words():
    failed = FailedSession(
        consumer="payroll",
        outcome="parked",
        session_id=payloads.UUID,
        updated_at_time=SESSION.updated_at_time,
        error=NOTE,
        attempts=5,
        failed_at=SESSION.updated_at_time,
        raw=json.dumps(payloads.SESSION),
    )
    for show in (repr, str, pretty_repr):
        assert not shows_notes(show(failed))
        assert payloads.UUID in show(failed)

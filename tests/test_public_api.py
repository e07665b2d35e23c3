"""The public names."""

import ast
import inspect
import pydoc
import re
import textwrap
from collections.abc import Sequence
from typing import get_args, get_type_hints

import pytest

import coachstream
from coachstream import checkpoints, emulator, errors, telemetry, testing
from coachstream.http.address import REGIONS
from coachstream.testing import contracts

NAMES = [
    name
    for line in """
    AnswerTimeoutError ApiError Assignments BadGatewayError BadRequestError Behavior
    BehaviorType CheckpointError Client Clock ClosedError CoachAssignment CoachStreamError
    CoachableEvent CoachingSession CoachingType ConnectError ConnectionLostError
    ContentTooLargeError CorruptCheckpointError CorruptLedgerError CursorExpiredError
    CursorLoopError Driver Event EventLinkage EventSourceType FailedSession FileLedger
    FilterStatus ForbiddenError GatewayTimeoutError Handler Health InternalServerError
    InvalidArgumentError Ledger MalformedAssignmentError MalformedSessionError MemoryLedger
    MethodNotAllowedError NewerCheckpointError NotFoundError NotImplementedApiError Observer
    OnFailure Page PageTooLargeError Position QueryMismatchError RateLimitError RateLimits
    RedirectError Region Replay Report RequestTimeoutError Retry RetryPolicy SaveRolledBackError
    ServerError ServiceUnavailableError SessionStatus SessionStream Sessions
    StaleCheckpointError StoreError StoreRefusedError StreamInUseError StreamState SystemClock
    TokenProvider TokenUnavailableError TooManyFailuresError TransportError UnauthorizedError
    UndecodableError UntrustedCertificateError __version__ consume replay
    """.splitlines()
    for name in line.split()
]

EMULATOR_NAMES = [
    name
    for line in """
    Emulator Fault Profile Request Requests World cut_short empty_page garble hang_up
    malformed_session oversize redirect refuse serve slow stall
    """.splitlines()
    for name in line.split()
]


def test_the_package_exports_exactly_these_names():
    assert coachstream.__all__ == NAMES
    assert all(hasattr(coachstream, name) for name in NAMES)


def test_the_emulator_exports_exactly_these_names():
    assert sorted(emulator.__all__) == EMULATOR_NAMES
    assert all(hasattr(emulator, name) for name in EMULATOR_NAMES)


CHECKPOINT_NAMES = [
    name
    for line in """
    Checkpoint CheckpointStore FileStore MappingStore MemoryStore NatsStore PostgresStore RedisStore
    SqliteStore Store StoreLike open_store opened
    """.splitlines()
    for name in line.split()
]


def test_the_stores_export_exactly_these_names():
    assert sorted(checkpoints.__all__) == sorted(CHECKPOINT_NAMES)
    assert all(hasattr(checkpoints, name) for name in CHECKPOINT_NAMES)


TESTING_NAMES = [
    name
    for line in """
    EmulatorThread FastForwardLoop LoopClock assert_all_handled assert_limit_kept assert_same_query
    fast_forward most_in_a_second pass_time quiet_world wait_until
    """.splitlines()
    for name in line.split()
]


def test_the_test_kit_exports_exactly_these_names_and_the_emulators():
    assert testing.__all__ == sorted(TESTING_NAMES + EMULATOR_NAMES)
    assert all(hasattr(testing, name) for name in testing.__all__)
    assert contracts.__all__ == ["LedgerContract", "StoreContract"]


def test_every_error_is_exported_and_in_the_tree():
    classes = {
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, errors.CoachStreamError)
    }
    assert classes <= set(coachstream.__all__)
    assert errors.__doc__ is not None
    assert all(name in errors.__doc__ for name in classes)


def test_what_takes_few_words_says_so_in_its_type():
    """So that an editor offers them, and a type checker finds others."""
    client = get_type_hints(coachstream.Client.__init__)
    assert get_args(client["region"]) == tuple(REGIONS)
    for method in (coachstream.Sessions.stream, coachstream.Sessions.backfill):
        hints = get_type_hints(method)
        assert hints["session_statuses"] == Sequence[coachstream.FilterStatus] | None
        assert get_args(hints["on_expired"]) == ("resume", "raise")
        assert get_args(hints["settle"]) == ("next", "ack")
    known = vars(coachstream.SessionStatus).values()
    assert all(one in known for one in get_args(coachstream.FilterStatus))


PACKAGES = [coachstream, checkpoints, emulator, errors, telemetry, testing, contracts]


def test_the_package_offers_about_forty_names():
    offered = dir(coachstream)
    assert {"Client", "consume", "checkpoints", "errors", "telemetry"} < set(offered)
    assert "NotFoundError" in dir(errors)
    assert len(offered) <= 45


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_what_is_offered_is_public_and_can_be_had(package):
    offered = set(dir(package))
    assert all(hasattr(package, name) for name in offered)
    public = set(getattr(package, "__all__", offered)) | {"checkpoints", "errors", "telemetry"}
    assert offered <= public
    internal = {name for name in offered if inspect.ismodule(getattr(package, name))}
    assert internal <= {"checkpoints", "errors", "telemetry"}


def public_classes():
    """The classes that somebody can import from a public package."""
    found = {getattr(package, name) for package in PACKAGES for name in dir(package)}
    return sorted(
        (
            one
            for one in found
            if isinstance(one, type) and one.__module__.startswith("coachstream")
        ),
        key=str,
    )


@pytest.mark.parametrize("kind", public_classes(), ids=lambda kind: kind.__name__)
def test_help_shows_what_is_documented_of_fields(kind):
    """A string after a field is for readers of the source alone."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    bodies = [tree.body, *(one.body for one in tree.body if isinstance(one, ast.FunctionDef))]
    for body in bodies:
        for statement in body[1:]:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    pytest.fail(f"not in the docstring: {text}")
    if kind in {coachstream.Client, coachstream.CoachingSession, coachstream.Report}:
        text = pydoc.render_doc(kind)
        assert "Attributes:" in text
        for name in getattr(kind, "__struct_fields__", ("sessions", "assignments")):
            assert f"{name}: " in text


def test_no_help_leads_elsewhere():
    named: list[object] = [coachstream.Client, coachstream.Sessions, coachstream.Assignments]
    named += [coachstream.SessionStream, coachstream.consume, coachstream.replay]
    for one in named:
        assert not re.search(r"[Aa]s for `|[Ss]ee (there|above|`)", pydoc.render_doc(one))


def test_every_public_class_has_a_docstring():
    undocumented = [
        name
        for name in coachstream.__all__
        if isinstance(getattr(coachstream, name), type) and not getattr(coachstream, name).__doc__
    ]
    assert undocumented == []

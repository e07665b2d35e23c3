"""Assertions on the requests that an emulator was sent."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from coachstream import CoachingSession
from coachstream.emulator import Request

SESSIONS = "/coaching/sessions/stream"
ASSIGNMENTS = "/coaching/driver-coach-assignments"

Version = tuple[str, str]
"""A version as the API spells it: its id and updatedAtTime."""


def most_in_a_second(times: Iterable[float]) -> int:
    """Return how many of the moments, in seconds, lie within one sliding second at the most."""
    ordered = sorted(times)
    counts = (bisect_left(ordered, start + 1) - n for n, start in enumerate(ordered))
    return max(counts, default=0)


def assert_limit_kept(
    requests: Iterable[Request], *, sessions: float = 5, assignments: float = 10
) -> None:
    """Assert that no second saw more requests than the API allows.

    Requests that were refused count too. On real time, a busy machine can push together what was
    sent apart; on a `FastForwardLoop` nothing can.

    Args:
        requests: Those of an emulator.
        sessions: Requests for sessions that may come within any one second.
        assignments: The same for assignments, reading and writing together.

    Raises:
        AssertionError: there were more; it says when.
    """
    times = defaultdict(list)
    for request in requests:
        times[request.path].append(request.at)
    for path, limit in ((SESSIONS, sessions), (ASSIGNMENTS, assignments)):
        ordered = sorted(times[path])
        most = most_in_a_second(ordered)
        if most > limit:
            seconds = (ordered[n : n + most] for n in range(len(ordered)))
            worst = next(one for one in seconds if len(one) == most and one[-1] < one[0] + 1)
            at = ", ".join(f"{time:.3f}" for time in worst)
            raise AssertionError(f"{most} requests to {path} in one second, not {limit}: at {at} s")


def assert_same_query(requests: Iterable[Request]) -> None:
    """Assert that all requests for sessions asked the same but for the cursor, byte for byte.

    The server binds a cursor to the exact parameters it was given for.

    Raises:
        AssertionError: one asked something else, or nothing was asked at all.
    """
    queries = [_but_for_cursor(one.raw_query) for one in requests if one.path == SESSIONS]
    if not queries:
        raise AssertionError("there was no request for sessions")
    for number, query in enumerate(queries):
        if query != queries[0]:
            raise AssertionError(
                f"request {number} for sessions asked\n  {query}\nand the first one\n  {queries[0]}"
            )


def assert_all_handled(
    requests: Iterable[Request], handled: Iterable[CoachingSession | tuple[str, datetime]]
) -> None:
    """Assert that every version of a session that was served has been handled, at least once.

    Args:
        requests: Those of an emulator.
        handled: The sessions your handler saw, or their keys.

    Raises:
        AssertionError: some were not, or something was handled that was never served.
    """
    served = {version: None for request in requests for version in request.served}
    seen = {_spelled(one.key if isinstance(one, CoachingSession) else one) for one in handled}
    missing = [version for version in served if version not in seen]
    strange = sorted(seen - served.keys())
    if missing:
        raise AssertionError(f"{len(missing)} of {len(served)} not handled: {_few(missing)}")
    if strange:
        raise AssertionError(f"{len(strange)} handled and never served: {_few(strange)}")


def _but_for_cursor(raw_query: str) -> str:
    return "&".join(part for part in raw_query.split("&") if not part.startswith("after="))


def _spelled(key: tuple[str, datetime]) -> Version:
    name, time = key
    stamp = time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return name, f"{stamp}Z"


def _few(versions: list[Version]) -> str:
    shown = ", ".join(f"{name} of {time}" for name, time in versions[:5])
    return shown if len(versions) <= 5 else f"{shown}, …"

"""Assertions on the requests that an emulator received."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from coachstream import CoachingSession
from coachstream.emulator import Request

SESSIONS = "/coaching/sessions/stream"
ASSIGNMENTS = "/coaching/driver-coach-assignments"

Version = tuple[str, str]
"""A version as the API writes it: its id and updatedAtTime."""


def most_in_a_second(times: Iterable[float]) -> int:
    """Return the highest number of the times, in seconds, within any sliding second."""
    ordered = sorted(times)
    counts = (bisect_left(ordered, start + 1) - n for n, start in enumerate(ordered))
    return max(counts, default=0)


def assert_limit_kept(
    requests: Iterable[Request], *, sessions: float = 5, assignments: float = 10
) -> None:
    """Assert that no second had more requests than the API allows.

    Refused requests count, too. In real time, a busy machine can delay requests so that they arrive
    together; on a `FastForwardLoop` that can't happen.

    Args:
        requests: The requests of an emulator.
        sessions: How many requests for sessions are allowed in any one second.
        assignments: The same for assignments, reading and writing together.

    Raises:
        AssertionError: there were more; the message has their times.
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
            raise AssertionError(f"{most} requests to {path} in a second, limit {limit}: at {at} s")


def assert_same_query(requests: Iterable[Request]) -> None:
    """Assert that all requests for sessions had the same query, except for the cursor.

    They are compared byte for byte: the server binds a cursor to the exact parameters that it was
    issued for.

    Raises:
        AssertionError: a query differs, or there was no request for sessions.
    """
    queries = [_without_cursor(one.raw_query) for one in requests if one.path == SESSIONS]
    if not queries:
        raise AssertionError("there was no request for sessions")
    for number, query in enumerate(queries):
        if query != queries[0]:
            raise AssertionError(
                f"query of request {number} for sessions:\n  {query}\nof the first:\n  {queries[0]}"
            )


def assert_all_handled(
    requests: Iterable[Request], handled: Iterable[CoachingSession | tuple[str, datetime]]
) -> None:
    """Assert that every session version that was served was handled at least once.

    Args:
        requests: The requests of an emulator.
        handled: The sessions that your handler received, or their keys.

    Raises:
        AssertionError: a version was not handled, or one was handled that was never served.
    """
    served = {version: None for request in requests for version in request.served}
    seen = {_as_written(one.key if isinstance(one, CoachingSession) else one) for one in handled}
    missing = [version for version in served if version not in seen]
    unserved = sorted(seen - served.keys())
    if missing:
        raise AssertionError(f"{len(missing)} of {len(served)} not handled: {_shown(missing)}")
    if unserved:
        raise AssertionError(f"{len(unserved)} handled and never served: {_shown(unserved)}")


def _without_cursor(raw_query: str) -> str:
    return "&".join(part for part in raw_query.split("&") if not part.startswith("after="))


def _as_written(key: tuple[str, datetime]) -> Version:
    name, time = key
    stamp = time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return name, f"{stamp}Z"


def _shown(versions: list[Version]) -> str:
    shown = ", ".join(f"{name} of {time}" for name, time in versions[:5])
    return shown if len(versions) <= 5 else f"{shown}, …"

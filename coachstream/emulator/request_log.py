"""A log of the requests to the emulator."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

from .faults import Fault
from .response import Key


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request and its response.

    Attributes:
        at: The arrival time in seconds since the emulator started, on the event loop's clock.
        now: The world's time at arrival.
        query: The parameters, decoded; values of repeated ones are joined by commas.
        raw_query: The query string as it was sent, byte for byte.
        headers: The headers, case-insensitive; the value of ``Authorization`` is masked.
        status: The status of the response; 0 if there was none, as after ``hang_up()``.
        fault: The fault that was applied, if any.
        served: The (id, updatedAtTime) of each session in the response; empty if a fault cuts it
            off.
    """

    at: float
    now: datetime
    method: str
    path: str
    query: Mapping[str, str]
    raw_query: str
    headers: Mapping[str, str]
    status: int
    fault: Fault | None
    served: tuple[Key, ...]


class Requests(Sequence[Request]):
    """The latest requests, oldest first, up to the emulator's ``remember``."""

    def __init__(self, remember: int) -> None:
        self._requests: deque[Request] = deque(maxlen=remember)

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._requests))  # more may arrive during the iteration

    @overload
    def __getitem__(self, index: int) -> Request: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Request]: ...

    def __getitem__(self, index: int | slice) -> Request | Sequence[Request]:
        if isinstance(index, slice):
            return list(self._requests)[index]
        return self._requests[index]

    def __repr__(self) -> str:
        return f"<Requests: {len(self._requests)}>"

    def append(self, request: Request) -> None:
        """Add a request; drop the oldest if there are too many."""
        self._requests.append(request)

    def clear(self) -> None:
        """Remove all requests."""
        self._requests.clear()

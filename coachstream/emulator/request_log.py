"""What the emulator remembers of each request it was sent."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

from .answer import Key
from .faults import Fault


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, and how it was answered."""

    at: float
    """Seconds since the emulator started, on the event loop's clock, when it arrived."""
    now: datetime
    """The world's time then."""
    method: str
    path: str
    query: Mapping[str, str]
    """The parameters, decoded; values of repeated ones are joined by commas."""
    raw_query: str
    """The query string as it was sent, byte for byte."""
    headers: Mapping[str, str]
    """The headers, found in any case; the value of ``Authorization`` is blacked out."""
    status: int
    """The status of the answer; 0 if there was none, as after ``hang_up()``."""
    fault: Fault | None
    """What went wrong on purpose."""
    served: tuple[Key, ...]
    """The (id, updatedAtTime) of each session in the answer, if it was meant to arrive whole."""


class Requests(Sequence[Request]):
    """The latest requests, oldest first; as many as the emulator was told to remember."""

    def __init__(self, remember: int) -> None:
        self._kept: deque[Request] = deque(maxlen=remember)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._kept))  # more may come while they are looked at

    @overload
    def __getitem__(self, index: int) -> Request: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Request]: ...

    def __getitem__(self, index: int | slice) -> Request | Sequence[Request]:
        if isinstance(index, slice):
            return list(self._kept)[index]
        return self._kept[index]

    def __repr__(self) -> str:
        return f"<{len(self._kept)} requests>"

    def append(self, request: Request) -> None:
        """Remember one more, and forget the oldest if there are too many."""
        self._kept.append(request)

    def clear(self) -> None:
        """Forget them all."""
        self._kept.clear()

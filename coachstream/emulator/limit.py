"""The rate limit, kept to the letter."""

import math
from collections import deque


class SlidingLimit:
    """Lets no more than ``rate`` requests through in any one second.

    Stricter than a bucket, which lets a burst follow a pause: Samsara documents requests per second
    and not how they are counted (https://developers.samsara.com/docs/rate-limits), so whoever
    pleases this limit pleases theirs. A rate that is not whole is kept over a longer or shorter
    while. Refused requests take up no room.
    """

    def __init__(self, rate: float) -> None:
        if rate <= 0:
            raise ValueError("a rate is more than zero; None is no limit")
        self._room = max(1, math.floor(rate))
        self._while = self._room / rate
        self._passed: deque[float] = deque()

    def wait_for_room(self, at: float) -> float:
        """Let a request at ``at`` (seconds) through and return 0, or return the seconds to wait.

        The seconds are rounded up to five decimals, as many as ``Retry-After: 0.40235`` has.
        """
        # A billionth of a second is forgiven: sums of floats do not come out even.
        while self._passed and at - self._passed[0] >= self._while - 1e-9:
            self._passed.popleft()
        if len(self._passed) < self._room:
            self._passed.append(at)
            return 0.0
        return math.ceil((self._passed[0] + self._while - at) * 1e5) / 1e5

"""The rate limit, strictly enforced."""

import math
from collections import deque


class SlidingLimit:
    """Allows at most ``rate`` requests in any one second.

    This is stricter than a token bucket, which allows a burst after a pause. Samsara documents
    requests per second, but not how they are counted, so a client that respects this limit
    respects theirs: https://developers.samsara.com/docs/rate-limits. A fractional rate is enforced
    over a longer or shorter window. Refused requests don't count.
    """

    def __init__(self, rate: float) -> None:
        if rate <= 0:
            raise ValueError("the rate must be more than zero; for no limit, use None")
        self._capacity = max(1, math.floor(rate))
        self._window = self._capacity / rate
        self._allowed: deque[float] = deque()

    def try_acquire(self, at: float) -> float:
        """Allow a request at ``at`` (seconds) and return 0, or return the seconds to wait.

        The result is rounded up to five decimals, as in ``Retry-After: 0.40235``.
        """
        # The tolerance of 1e-9 s covers rounding errors in sums of floats.
        while self._allowed and at - self._allowed[0] >= self._window - 1e-9:
            self._allowed.popleft()
        if len(self._allowed) < self._capacity:
            self._allowed.append(at)
            return 0.0
        return math.ceil((self._allowed[0] + self._window - at) * 1e5) / 1e5

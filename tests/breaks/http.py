"""Deliberate breaks of ``http``."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a request checks the limit again after its wait",
        "http/rate_limit",
        "        while (wait := self._next_send() - clock.monotonic()) > 0:",
        "        if (wait := self._next_send() - clock.monotonic()) > 0:",
        ("tests/http/test_rate_limit.py",),
    ),
    Mutation(
        "a request that hangs is retried",
        "http/transport",
        "        with anyio.move_on_after(self.timeout + self._grace):",
        "        with anyio.move_on_after(1e9):",
        ("tests/guarantees/test_it_never_stalls_in_silence.py",),
    ),
    Mutation(
        "the rate limit is kept",
        "http/rate_limit",
        "max(self._sent_at + self._spacing, self._paused_until)",
        "self._paused_until",
        ("tests/http/test_rate_limit.py", "tests/http/test_transport.py"),
    ),
    Mutation(
        "the bucket spaces requests",
        "http/rate_limit",
        "self._bucket = None if rate is None else AsyncLimiter(1, self._spacing)",
        "self._bucket = None",
        ("tests/http/test_rate_limit.py",),
    ),
    Mutation(
        "a 429 delays every caller",
        "http/rate_limit",
        "self._paused_until = max(self._paused_until, clock.monotonic() + seconds)",
        "self._paused_until = self._paused_until",
        ("tests/http/test_rate_limit.py",),
    ),
    Mutation(
        "the token is in no error",
        "http/transport",
        'return text.replace(token.encode(), b"***") if len(token) >= 8 else text',
        "return text",
        ("tests/http/test_transport.py", "tests/test_security.py"),
    ),
    Mutation(
        "no redirect is followed",
        "http/exchange",
        "allow_redirects=False",
        "allow_redirects=True",
        ("tests/http/test_transport.py", "tests/test_security.py"),
    ),
)

"""The faults that the emulator carries out, by their names in plans."""

from collections.abc import Callable, Mapping
from random import Random

from coachstream.emulator import (
    Fault,
    cut_short,
    empty_page,
    garble,
    malformed_session,
    redirect,
    refuse,
)

EMULATOR_FAULTS: Mapping[str, Callable[[Random], Fault]] = {
    **{
        status: lambda _, status=status: refuse(int(status))  # type: ignore[misc]  # binds it now
        for status in ("400", "401", "403", "404", "408", "500", "501", "502", "504")
    },
    "503": lambda chance: refuse(503, retry_after=chance.choice([None, 0.5, 20.0])),
    "429": lambda chance: refuse(429, retry_after=60 * chance.random() ** 3),
    "429 without Retry-After": lambda _: refuse(429),
    "garble": lambda _: garble(),
    # A response that is not received whole counts as not served.
    **{name: lambda _: cut_short(10) for name in ("cut short", "stall")},
    **{name: lambda _: cut_short(10) for name in ("no headers", "half of the headers")},
    "oversize": lambda _: cut_short(10),
    "malformed session": lambda chance: chance.choice(
        [malformed_session(), malformed_session(dueAtTime="yesterday")]
    ),
    "empty page": lambda _: empty_page(),
    "redirect": lambda _: redirect("https://example.com/"),
}

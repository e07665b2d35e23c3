"""An emulator of Samsara's coaching API: a real server on this machine that needs no account.

It imports nothing from this library, so it can't share the library's mistakes. Its JSON follows
Samsara's OpenAPI description, and the vendor's own SDK works against it. Only ``cli``, ``testing``
and tests import it.
"""

from .faults import (
    Fault,
    cut_short,
    empty_page,
    garble,
    hang_up,
    malformed_session,
    oversize,
    redirect,
    refuse,
    serve,
    slow,
    stall,
)
from .profile import Profile
from .request_log import Request, Requests
from .server import Emulator
from .world import World

__all__ = [
    "Emulator",
    "Fault",
    "Profile",
    "Request",
    "Requests",
    "World",
    "cut_short",
    "empty_page",
    "garble",
    "hang_up",
    "malformed_session",
    "oversize",
    "redirect",
    "refuse",
    "serve",
    "slow",
    "stall",
]


def __dir__() -> list[str]:
    return __all__

"""A stand-in for Samsara's coaching API: a real server, on this machine, that needs no account.

It is a witness of the API and not an echo of this library, of which it imports nothing: it builds
its JSON from Samsara's OpenAPI description, and the vendor's own SDK works against it.
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
from .memory import Request, Requests
from .profile import Profile
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

"""How much a consumer may do, hold and wait for."""

import msgspec

from ..progress.frontier import Frontier


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one consumer."""

    concurrency: int
    """Handlers that may run at once."""
    sessions: int
    """Sessions of open pages at which reading pauses."""
    bytes: int
    """Bytes of open pages at which reading pauses."""
    drain_timeout: float
    """Seconds that running handlers may take when the consumer stops."""

    def are_exceeded(self, frontier: Frontier, share: float = 1.0) -> bool:
        """Return whether open pages hold more than ``share`` of what they may.

        All their sessions count, not just unsettled ones: otherwise one stuck session would let
        the keys that are settled behind it grow without bound.
        """
        return frontier.open_sessions > share * self.sessions or frontier.size > share * self.bytes

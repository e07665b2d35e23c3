"""What a consumer has done."""

from ..models import Plain, Position


class Report(Plain, frozen=True, kw_only=True):
    """What a consumer has done when it has stopped.

    Attributes:
        handled: Sessions that a handler has handled.
        given_up: Sessions skipped or parked.
        unsettled: Sessions that were read and not settled; they are delivered again.
        position: What was saved last.
    """

    handled: int
    given_up: int
    unsettled: int
    position: Position

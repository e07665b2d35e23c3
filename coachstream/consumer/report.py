"""What a consumer has done."""

from ..models import Plain, Position


class Report(Plain, frozen=True, kw_only=True):
    """What a consumer has done when it has stopped."""

    handled: int
    """Sessions that a handler has handled."""
    given_up: int
    """Sessions skipped or parked."""
    unsettled: int
    """Sessions that were read and not settled; they are delivered again."""
    position: Position
    """What was saved last."""

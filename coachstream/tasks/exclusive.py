"""Lets one task at a time read something."""

from ..errors import StreamInUseError


class Exclusive:
    """A context that one task at a time may be in."""

    def __init__(self, in_use: str) -> None:
        self._in_use = in_use  # what the error says
        self._busy = False

    def check(self) -> None:
        """Check that no task is inside.

        Raises:
            StreamInUseError: one is.
        """
        if self._busy:
            raise StreamInUseError(self._in_use)

    def __enter__(self) -> None:
        self.check()
        self._busy = True

    def __exit__(self, *_: object) -> None:
        self._busy = False

"""Which of the checkpoints that a store may have are our own."""

from collections import deque

import msgspec

from ..checkpoints import Checkpoint
from ..errors import SaveRolledBackError
from ..models import Position

REMEMBERED = 1000
"""How many saves are remembered while it is not known whether they happened."""


class _Save(msgspec.Struct, frozen=True):
    revision: int
    position: int
    """The hash of the position: a thousand positions would take megabytes."""
    in_transaction: bool = False


class Revisions:
    """A checkpoint that is stored, and later saves of which it is not known whether they happened.

    A save may be cut off after it has happened, and one in the caller's transaction may be rolled
    back.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._saves = deque([_of(None)], maxlen=REMEMBERED)
        self.current = 0
        """The revision that the next save replaces, as far as is known."""

    @property
    def in_transaction(self) -> bool:
        """Whether the last save was in the caller's transaction, which may still be open."""
        return self._saves[-1].in_transaction

    def stored(self, found: Checkpoint | None) -> None:
        """Note what is stored for certain."""
        self._saves.clear()
        self._saves.append(_of(found))
        self.current = self._saves[-1].revision

    def attempted(self, position: Position, *, in_transaction: bool = False) -> None:
        """Note a save that may happen, or may have happened."""
        save = _Save(self.current + 1, hash(position), in_transaction)
        if save != self._saves[-1]:
            self._saves.append(save)

    def go_on_from(self, found: Checkpoint | None, position: Position) -> bool:
        """Go on from what is stored, if it is our own; return whether it is.

        Raises:
            SaveRolledBackError: a transaction was rolled back with a later save in it, and more has
                been settled since. What was settled in it would be saved, too.
        """
        saves = list(self._saves)
        ours = [one for one in saves if one == _of(found, in_transaction=one.in_transaction)]
        if not ours:
            return False
        later = saves[saves.index(ours[-1]) + 1 :]
        if any(one.in_transaction for one in later) and later[-1].position != hash(position):
            raise SaveRolledBackError(
                f"your transaction was rolled back with the position of {self._name!r}, and more "
                "was settled after it: start a new stream, which delivers those sessions again"
            )
        self._saves = deque(saves[: len(saves) - len(later)], maxlen=REMEMBERED)
        self.current = ours[-1].revision
        return True


def _of(found: Checkpoint | None, *, in_transaction: bool = False) -> _Save:
    if found is None:
        return _Save(0, 0, in_transaction)
    return _Save(found.revision, hash(found.position), in_transaction)

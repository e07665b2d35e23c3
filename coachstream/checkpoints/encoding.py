"""Checkpoints, the protocol of their stores, and the format in which positions are stored."""

from typing import Protocol

import msgspec

from ..errors import CorruptCheckpointError, NewerCheckpointError
from ..models import Position

FORMAT = 1
"""Increases when this library writes something that earlier versions would misread."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer's position in the feed, with a revision that counts its saves.

    Attributes:
        revision: 1 after the first save of a name, then one more with each save.
    """

    position: Position
    revision: int


class CheckpointStore(Protocol):
    """What this library needs of a store. `coachstream.checkpoints` has several stores.

    Both methods may raise whatever their storage raises. A save that raised may or may not have
    happened.
    """

    async def load(self, name: str) -> Checkpoint | None:
        """Return the checkpoint stored for ``name``, or None.

        Raises:
            CorruptCheckpointError: it is damaged.
            NewerCheckpointError: a later version of this library wrote it.
        """
        ...

    async def save(self, name: str, position: Position, *, after: int) -> Checkpoint:
        """Replace revision ``after`` with ``position``, and return the new checkpoint.

        With ``after=0`` the name must have no checkpoint yet. The save is atomic, and durable when
        this returns.

        Raises:
            StaleCheckpointError: another revision is stored. Nothing has changed.
        """
        ...


class _Envelope(msgspec.Struct, frozen=True):
    format: int


class _Record(msgspec.Struct, frozen=True):
    format: int
    position: Position


_envelope = msgspec.json.Decoder(_Envelope)
_record = msgspec.json.Decoder(_Record)


def encode(position: Position) -> bytes:
    """Return the position as JSON, so that people can read it."""
    return msgspec.json.encode(_Record(FORMAT, position))


def decode(name: str, value: bytes) -> Position:
    """Return the position that is encoded in ``value``.

    Raises:
        CorruptCheckpointError: ``value`` is not an encoded position.
        NewerCheckpointError: its format is later than `FORMAT`.
    """
    try:
        found = _envelope.decode(value).format
        if found > FORMAT:
            raise NewerCheckpointError(
                f"checkpoint {name!r} has format {found}, and this version of coachstream reads "
                f"up to {FORMAT}: upgrade, or use another name"
            )
        return _record.decode(value).position
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptCheckpointError(
            f"checkpoint {name!r} is damaged ({error}): restore it from a backup, or remove it to "
            "begin again from the start time"
        ) from error

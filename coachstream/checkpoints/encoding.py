"""What a store keeps for a name, and how it is spelled in bytes."""

from typing import Protocol

import msgspec

from ..errors import CorruptCheckpointError, NewerCheckpointError
from ..models import Position

FORMAT = 1
"""Rises when a version of this library writes what earlier ones would misread."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How far a consumer has come, and how often that was saved."""

    position: Position
    revision: int
    """1 for the first save of a name, one more with each: what a save names to replace it."""


class CheckpointStore(Protocol):
    """What this library needs of a store, and no more. ``checkpoints`` has some ready made.

    Both may raise whatever their storage raises; a save that raised may or may not have happened.
    """

    async def load(self, name: str) -> Checkpoint | None:
        """Return what is stored for ``name``; None if nothing is.

        Raises:
            CorruptCheckpointError: it is damaged.
            NewerCheckpointError: a later version of this library wrote it.
        """
        ...

    async def save(self, name: str, position: Position, *, after: int) -> Checkpoint:
        """Keep ``position`` in place of revision ``after``, and return it with its revision.

        ``after`` is 0 when nothing may be stored for the name yet. The save is atomic and durable
        when this returns.

        Raises:
            StaleCheckpointError: the revision stored is another. Nothing has changed.
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
    """Return the position in bytes: JSON, so that people can read it."""
    return msgspec.json.encode(_Record(FORMAT, position))


def decode(name: str, value: bytes) -> Position:
    """Return the position that ``value`` spells.

    Raises:
        CorruptCheckpointError: it spells none.
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

"""Stored checkpoints: read, checked before a save, and sealed with a checksum. No I/O."""

from hashlib import sha256

import msgspec

from ..errors import CorruptCheckpointError, StaleCheckpointError
from .encoding import Checkpoint, decode


class Stored(msgspec.Struct, frozen=True):
    """What is stored for one name."""

    revision: int
    value: bytes
    """A position, encoded by `encoding.encode`."""


class _Label(msgspec.Struct, frozen=True, omit_defaults=True):
    revision: int
    sha256: str
    name: str | None = None


_label = msgspec.json.Decoder(_Label)


def restore(name: str, stored: Stored | None) -> Checkpoint | None:
    """Return the stored checkpoint, or None.

    Raises:
        CorruptCheckpointError: it is damaged.
        NewerCheckpointError: a later version of this library wrote it.
    """
    if stored is None:
        return None
    position = decode(name, stored.value)
    if type(stored.revision) is not int or stored.revision < 1:  # a database may hold anything
        raise damaged(name, f"its revision is {stored.revision}")
    return Checkpoint(position=position, revision=stored.revision)


def check_revision(name: str, stored: Stored | None, after: int) -> None:
    """Check that a save may replace what is stored.

    A save does not replace a damaged checkpoint, so that the damage can be examined.

    Raises:
        StaleCheckpointError: a revision other than ``after`` is stored.
        CorruptCheckpointError: what is stored is damaged.
        NewerCheckpointError: a later version of this library wrote it.
    """
    current = restore(name, stored)
    revision = 0 if current is None else current.revision
    if revision != after:
        raise StaleCheckpointError(
            f"checkpoint {name!r} is at revision {revision}, not {after}: another consumer uses "
            "this name, or the storage went back to an earlier state"
        )


def overtaken(name: str, after: int) -> StaleCheckpointError:
    """Return the error for a save that another one overtook after `check_revision`."""
    return StaleCheckpointError(
        f"checkpoint {name!r} is no longer at revision {after}: another consumer uses this name"
    )


def seal(stored: Stored, *, name: str | None = None) -> bytes:
    """Return it as one value of two lines, with a checksum, for storage without columns."""
    label = _Label(stored.revision, _checksum(stored), name)
    return b"%s\n%s" % (msgspec.json.encode(label), stored.value)


def unseal(name: str, sealed: bytes) -> Stored:
    """Reverse `seal`.

    Raises:
        CorruptCheckpointError: ``sealed`` is damaged.
    """
    try:
        first, _, value = sealed.partition(b"\n")
        label = _label.decode(first)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(name, error) from error
    stored = Stored(label.revision, value)
    if label.sha256 != _checksum(stored):
        raise damaged(name, "its checksum does not match")
    if label.name not in {None, name}:
        raise damaged(name, f"it is that of {label.name!r}")
    return stored


def unsealed_name(sealed: bytes) -> str | None:
    """Return the name that was sealed, if there is one."""
    try:
        return _label.decode(sealed.partition(b"\n")[0]).name
    except msgspec.MsgspecError:
        return None


def damaged(name: str, problem: object) -> CorruptCheckpointError:
    """Return the error for a checkpoint that can't be read."""
    return CorruptCheckpointError(
        f"checkpoint {name!r} is damaged ({problem}): restore it from a backup, or remove it to "
        "begin again from the start time"
    )


def _checksum(stored: Stored) -> str:
    return sha256(b"%d\n%s" % (stored.revision, stored.value)).hexdigest()

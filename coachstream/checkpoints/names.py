"""Which names a checkpoint may have."""

import unicodedata

from ..errors import InvalidArgumentError

LONGEST = 200
"""Characters. Enough for any name, and every storage here can hold that."""

_BANNED = {
    "Cc",  # controls
    "Cs",  # halves of characters, which no storage can spell
    "Zl",  # line and paragraph separators
    "Zp",
}


def checked_name(name: str) -> str:
    """Return the name, if it can be one.

    Raises:
        InvalidArgumentError: it is no text, empty, too long, or has control characters.
    """
    if not isinstance(name, str):
        raise InvalidArgumentError("name", f"{name!r} is not a string")
    if not name:
        raise InvalidArgumentError("name", "is empty")
    if len(name) > LONGEST:
        raise InvalidArgumentError("name", f"has {len(name)} characters, and {LONGEST} is the most")
    for character in name:
        if unicodedata.category(character) in _BANNED:
            raise InvalidArgumentError("name", f"{name!r} has a control character")
    return name

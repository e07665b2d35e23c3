"""The names that a checkpoint may have."""

import unicodedata

from ..errors import InvalidArgumentError

MAX_LENGTH = 200
"""Characters: enough for any name, and every storage here can hold them."""

_BANNED = {
    "Cc",  # controls
    "Cs",  # surrogates, which can't be encoded
    "Zl",  # line and paragraph separators
    "Zp",
}


def checked_name(name: str) -> str:
    """Return the name if it is valid.

    Raises:
        InvalidArgumentError: it is not a string, empty, too long, or has control characters.
    """
    if not isinstance(name, str):
        raise InvalidArgumentError("name", f"{name!r} is not a string")
    if not name:
        raise InvalidArgumentError("name", "is empty")
    if len(name) > MAX_LENGTH:
        raise InvalidArgumentError("name", f"has {len(name)} characters, more than {MAX_LENGTH}")
    for character in name:
        if unicodedata.category(character) in _BANNED:
            raise InvalidArgumentError("name", f"{name!r} has a control character")
    return name

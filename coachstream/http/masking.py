"""Takes the token out of what a server sends back, before it becomes an error or an event."""

import re
from typing import AnyStr

from .credentials import Secret

_MASK = "***"
_SHORTEST = 8
"""A shorter token is no secret, and occurs in any word."""
_LONGEST_TEXT = 64 * 1024
"""Only so much of a text is searched, and kept."""


def masked(token: Secret, text: AnyStr) -> AnyStr:
    """Return the text without the token, as it is or as JSON may spell it; a long text is cut.

    Spelled with escapes, the token would be in clear as soon as the text has been decoded.
    """
    if len(token) < _SHORTEST:
        return text[:_LONGEST_TEXT]
    spellings = "".join(_spellings(character) for character in token)
    # Cut text may end within a token, so its end goes, too.
    kept = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT]
    end = len(kept) if kept is text else -6 * len(token)
    if isinstance(kept, bytes):
        return re.sub(spellings.encode(), _MASK.encode(), kept)[:end]
    return re.sub(spellings, _MASK, kept)[:end]


def masked_header(token: Secret, value: str) -> str:
    """Return a header's value without the token, and with bytes that are no text made visible."""
    visible = value.encode(errors="surrogateescape").decode(errors="replace")
    return masked(token, visible)


def _spellings(character: str) -> str:
    r"""Return a pattern for a character in JSON: ``/`` may be ``\/``, ``\u002f`` or ``\u002F``."""
    return rf"(?:\\?{re.escape(character)}|(?i:\\u00{ord(character):02x}))"

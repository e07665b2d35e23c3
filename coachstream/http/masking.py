"""Takes the token out of what a server sends back, before it becomes an error or an event."""

import re
from functools import lru_cache
from typing import AnyStr

from .credentials import Secret

_MASK = "***"
_SHORTEST = 8
"""A shorter token is no secret, and occurs in any word."""
_LONGEST_TEXT = 64 * 1024
"""Only so much of a text is searched, and kept."""
_LONGEST_ESCAPE = len(r"\u002f")


def masked(token: Secret, text: AnyStr) -> AnyStr:
    """Return the text without the token, as it is or as JSON may spell it; a long text is cut.

    Spelled with escapes, the token would be in clear as soon as the text has been decoded.
    """
    kept = text[:_LONGEST_TEXT]
    if len(token) < _SHORTEST:
        return kept
    # A text that was cut may end within a token, so its end goes, too.
    end = len(kept) if len(kept) == len(text) else -_LONGEST_ESCAPE * len(token)
    if isinstance(kept, bytes):
        return re.sub(_spellings(token).encode(), _MASK.encode(), kept)[:end]
    return re.sub(_spellings(token), _MASK, kept)[:end]


def masked_header(token: Secret, value: str) -> str:
    """Return a header's value without the token, and with bytes that are no text made visible."""
    visible = value.encode(errors="surrogateescape").decode(errors="replace")
    return masked(token, visible)


@lru_cache(maxsize=8)
def _spellings(token: Secret) -> Secret:
    r"""Return a pattern for the token, of which ``/`` may be ``\/``, ``\u002f`` or ``\u002F``."""
    return Secret(
        "".join(rf"(?:\\?{re.escape(one)}|(?i:\\u00{ord(one):02x}))" for one in token),
    )

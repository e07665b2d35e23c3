"""What reprs and log lines show: ids, times and counts, and no texts about people.

Notes and behaviours of drivers are nobody's business in a log, and reprs end up there: in lines, in
tracebacks, in the messages of others' errors.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .errors import CoachStreamError
from .text import printable, words

LONGEST = 2_000
"""Characters that are shown of an error's words."""

_PACKAGE = str(Path(__file__).parent)


def brief_repr(kind: type, fields: Iterable[tuple[str, Any]]) -> str:
    """Return a repr that shows these fields."""
    return f"{kind.__name__}({', '.join(f'{name}={value!r}' for name, value in fields)})"


def worded_error(error: BaseException) -> str:
    """Return the error's kind and words, on one line, whatever they are."""
    return f"{type(error).__name__}: {printable(words(error), LONGEST)}"


def brief_error(error: BaseException) -> str:
    """Return the error's kind, with its words if they are this library's or the system's.

    Those of a handler, or of a driver that it uses, may quote the session: then it is the place.
    """
    kind, frame = type(error).__name__, error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    path = frame.tb_frame.f_code.co_filename if frame is not None else ""
    if isinstance(error, CoachStreamError | OSError) or path.startswith(_PACKAGE):
        return worded_error(error)
    return f"{kind} in {Path(path).name}:{frame.tb_lineno}" if frame is not None else kind

"""Words in messages: counted things, and others' words on one line, printable, and cut."""

LONGEST = 500
"""Characters of others' words that a message quotes."""


def counted(number: int, noun: str) -> str:
    """Return ``1 session`` or ``2,000 sessions``, for a noun whose plural ends in s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def printable(text: str, longest: int = LONGEST) -> str:
    r"""Return others' words as a message may quote them.

    Blanks and line breaks become one space, what steers a terminal or can't be encoded becomes an
    escape such as ``\x1b``, and what is longer than ``longest`` characters ends in ``…``.
    """
    words = " ".join(text[: longest * 4].split())
    shown = "".join(one if one.isprintable() else _escaped(one) for one in words[: longest + 1])
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def words(error: BaseException) -> str:
    """Return what an error says; any error can be asked."""
    try:
        return str(error)
    except Exception as failure:  # noqa: BLE001  # an error that can't be described has failed, too
        return f"(describing it raised {type(failure).__name__})"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()

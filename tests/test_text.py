"""Counted things, and others' words as our messages quote them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream.text import counted, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("Ungültig: “x”", "Ungültig: “x”"),
        ("one\r\ntwo\t three ", "one two three"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("left\u202eright", "left\\u202eright"),
        ("half \ud83d", "half \\ud83d"),
        ("a" * 500, "a" * 500),
        ("a" * 60_000, "a" * 499 + "…"),
    ],
)
def test_words_are_on_one_line_printable_and_cut(text, shown):
    assert printable(text) == shown


@given(st.text(st.characters(exclude_categories=())), st.integers(1, 50))
def test_any_text_can_be_printed(text, longest):
    shown = printable(text, longest)
    assert shown.isprintable()
    assert len(shown) <= longest
    shown.encode()


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 sessions"), (1, "1 session"), (2, "2 sessions"), (2000, "2,000 sessions")],
)
def test_a_counted_thing_is_one_or_many(number, shown):
    assert counted(number, "session") == shown

"""The token in what a server sends back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachstream.http.credentials import Secret
from coachstream.http.masking import masked, masked_header

TOKEN = Secret('secret-token/with+odd.\\ones"')
SPELLINGS = {
    "as it is": str(TOKEN),
    "JSON": json.dumps(TOKEN)[1:-1],
    "JSON as PHP writes it": json.dumps(TOKEN)[1:-1].replace("/", r"\/"),
    "some escapes": json.dumps(TOKEN)[1:-1].replace("/", r"\u002f").replace("+", r"\u002B"),
    "all escapes": "".join(rf"\u{ord(one):04X}" for one in TOKEN),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_the_token_is_masked_however_json_spells_it(spelling):
    text = f'{{"message": "you sent {spelling}!"}}'
    assert masked(TOKEN, text) == '{"message": "you sent ***!"}'
    assert masked(TOKEN, text.encode()) == b'{"message": "you sent ***!"}'


@given(st.text("a+/", min_size=8), st.data())
def test_every_spelling_of_every_token_is_masked(token, data):
    spelled = "".join(
        data.draw(st.sampled_from([one, rf"\u{ord(one):04x}", rf"\u{ord(one):04X}"]))
        for one in token
    )
    assert masked(Secret(token), spelled.encode()).decode() == "***"


def test_the_end_of_a_cut_text_shows_no_part_of_a_token():
    many = f"{TOKEN} ".encode() * 10_000
    assert set(masked(TOKEN, many)) == set(b"* ")
    long = b"x" * (64 * 1024 - 9) + TOKEN.encode()
    assert set(masked(TOKEN, long)) == {ord("x")}


def test_a_short_token_is_no_secret():
    assert masked(Secret("x"), "an example") == "an example"


def test_a_header_that_is_no_text_is_made_visible():
    assert masked_header(TOKEN, f"\udcff {TOKEN}") == "\ufffd ***"

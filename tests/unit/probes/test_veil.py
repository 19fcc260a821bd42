"""What was captured is hidden in every spelling, and where a message cuts it off."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.probes._journey.veil import Veil

SPELLINGS = [
    str,
    json.dumps,
    lambda text: json.dumps(text, ensure_ascii=False),
    ascii,
    quote,
    lambda text: quote(text, safe=""),
]


def veil(*values: str) -> Veil:
    made = Veil()
    for value in values:
        made.learn(value)

    return made


@pytest.mark.parametrize("spell", SPELLINGS)
@given(value=st.text(min_size=4, alphabet=st.characters(codec="utf-8", exclude_characters="*.")))
def test_each_spelling_is_hidden(spell: object, value: str) -> None:
    assert callable(spell)
    written = spell(value)

    assert value not in veil(value).mask(f"got {written}.")


@given(cut=st.integers(12, 80))
def test_a_value_that_was_cut_off_is_hidden(cut: int) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9." + "abcdefgh" * 8

    assert veil(token).mask(f"redirects to x?t={token[:cut]}…") == "redirects to x?t=***…"


def test_a_longer_value_is_hidden_before_one_that_is_part_of_it() -> None:
    assert veil("secret", "secret-and-more").mask("secret-and-more, secret") == "***, ***"


def test_what_is_too_short_to_be_hidden_stays() -> None:
    assert veil("42", "1").mask("status is 421") == "status is 421"

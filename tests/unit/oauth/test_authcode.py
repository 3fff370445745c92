"""Auth Codes: ten characters without look-alikes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oauth.authcode import ALPHABET, CHARACTERS, ENTROPY_BYTES_MIN, as_code, code_of


def test_no_character_looks_like_another() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 31
    assert not set("0O1IL") & set(ALPHABET)
    assert ALPHABET.upper() == ALPHABET


@given(st.binary(min_size=ENTROPY_BYTES_MIN, max_size=64))
def test_any_entropy_makes_a_code_that_is_read_back(entropy: bytes) -> None:
    code = code_of(entropy)
    assert len(code) == CHARACTERS == 10
    assert as_code(code) == as_code(f"{code[:5]}-{code[5:]}") == as_code(f"{code[:5]} {code[5:]}") == code
    assert as_code(code.lower()) == code  # as people type


def test_too_little_entropy_makes_none() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        code_of(b"x" * 15)


def test_codes_are_spread_over_the_whole_alphabet() -> None:
    """Of consecutive numbers, so that a digit that does not move would show."""
    codes = [
        code_of((number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)).to_bytes(16)) for number in range(3_100)
    ]
    assert len(set(codes)) == len(codes)
    for place in range(CHARACTERS):
        seen = Counter(code[place] for code in codes)
        assert set(seen) == set(ALPHABET)
        assert max(seen.values()) < 2 * len(codes) / len(ALPHABET)


GOOD = code_of(b"\x07" * 16)


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD[:-1],
        GOOD + "2",
        "ß" + GOOD[2:],
        "0" + GOOD[1:],
        "O" + GOOD[1:],
        "1" + GOOD[1:],
        "I" + GOOD[1:],
        "L" + GOOD[1:],
        f" {GOOD}",
        f"{GOOD}\n",
        f"{GOOD[:4]}-{GOOD[4:]}",
        f"{GOOD[:5]}--{GOOD[5:]}",
        f"{GOOD[:5]}–{GOOD[5:]}",
        "２" * 10,
    ],
)
def test_what_is_no_code_is_none(text: str) -> None:
    assert as_code(text) is None

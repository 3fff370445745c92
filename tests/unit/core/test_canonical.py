from __future__ import annotations

import hashlib
from enum import Enum
from typing import Any

import pytest

from gateway.core.canonical import canonical, canonical_sha256
from gateway.core.model import Outcome


class Colour(Enum):
    RED = 1


def test_keys_are_sorted_and_nothing_is_padded() -> None:
    assert canonical({"b": [1, True, None], "a": "x"}) == b'{"a":"x","b":[1,true,null]}'


def test_strings_keep_their_characters() -> None:
    assert canonical({"名": "滙豐 \u20ac \n\x0f"}) == '{"名":"滙豐 € \\n\\u000f"}'.encode()


def test_our_enumerations_are_strings() -> None:
    assert canonical(Outcome.MATCH) == b'"MATCH"'


def test_the_hash_is_over_the_bytes() -> None:
    assert canonical_sha256({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


ALMOST: list[Any] = [1.5, float("nan"), 2**53, -(2**53), {"deep": [{"deeper": 0.0}]}, {1: "x"}, {"\U0001f600": 1}]
FOREIGN: list[Any] = [b"bytes", {1, 2}, Colour.RED, object()]


@pytest.mark.parametrize("value", [*ALMOST, *FOREIGN])
def test_what_would_be_almost_right_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical(value)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical({"a": "\ud800"})

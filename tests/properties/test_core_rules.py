"""Properties of the pure rules, on generated values and against other people's or naive implementations."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canonical import canonical
from gateway.core.merkle import inclusion_path, leaf_hash, root, root_from_path
from gateway.core.model import Rate
from gateway.core.quota import Tier, gcra

# --- RFC 8785 ------------------------------------------------------------------------------------------------

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
KEYS = st.text(alphabet=st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF))
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=30)


@given(VALUES)
def test_canonical_bytes_are_those_of_another_implementation(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


# --- Merkle trees --------------------------------------------------------------------------------------------


def naive_root(leaves: list[bytes]) -> bytes:
    """Level by level, a last one without sibling goes up as it is: another way to RFC 6962's tree."""
    while len(leaves) > 1:
        pairs = [
            hashlib.sha256(b"\x01" + left + right).digest()
            for left, right in zip(leaves[::2], leaves[1::2], strict=False)
        ]
        leaves = pairs + ([leaves[-1]] if len(leaves) % 2 else [])
    return leaves[0]


TREES = st.lists(st.binary(max_size=8), min_size=1, max_size=64).map(lambda data: [leaf_hash(one) for one in data])


@given(TREES)
def test_roots_are_those_of_a_tree_that_is_built_upwards(leaves: list[bytes]) -> None:
    assert root(leaves) == naive_root(leaves)


@given(TREES, st.data())
def test_any_flipped_bit_of_a_proof_is_noticed(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    parts = [leaves[index], *inclusion_path(index, leaves)]
    part = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = bytearray(parts[part])
    flipped[bit // 8] ^= 1 << bit % 8
    parts[part] = bytes(flipped)
    assert root_from_path(parts[0], index, len(leaves), parts[1:]) != root(leaves)


@given(TREES, st.data())
def test_a_leaf_has_no_proof_at_another_place(leaves: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([position])) for position in range(len(leaves))]  # all different
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.integers(0, len(leaves) - 1))
    path = inclusion_path(index, leaves)
    try:
        led_to = root_from_path(leaves[index], other, len(leaves), path)
    except ValueError:
        return
    assert (led_to == root(leaves)) == (other == index)


# --- GCRA ----------------------------------------------------------------------------------------------------


class Bucket:
    """The naive model: tokens that drip in."""

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate, self.tokens, self.filled_at = rate, float(rate.burst), now

    def take(self, now: float) -> bool:
        self.tokens = min(float(self.rate.burst), self.tokens + (now - self.filled_at) * self.rate.per_second)
        self.filled_at = now
        if self.tokens < 1.0 - 1e-6:
            return False
        self.tokens -= 1.0
        return True


# Rates and pauses are binary fractions, so that both models are exact and may be compared.
RATES = st.builds(
    Rate, per_second=st.integers(-3, 6).map(lambda power: 2.0**power), burst=st.integers(min_value=1, max_value=20)
)
PAUSES = st.lists(st.integers(0, 64).map(lambda eighths: eighths / 8), max_size=60)


@given(RATES, PAUSES)
def test_gcra_allows_what_a_token_bucket_allows(rate: Rate, pauses: list[float]) -> None:
    now = arrival = 1_024.0
    bucket = Bucket(rate, now)
    limit = Tier(policy="p", key="k", rate=rate)
    for pause in pauses:
        now += pause
        arrival, allowance = gcra(arrival, now, limit)
        assert allowance.allowed == bucket.take(now)
        assert allowance.remaining == (math.floor(bucket.tokens + 1e-6) if allowance.allowed else 0)


@given(RATES, PAUSES)
def test_who_comes_back_when_told_is_let_in(rate: Rate, pauses: list[float]) -> None:
    now = arrival = 1_024.0
    limit = Tier(policy="p", key="k", rate=rate)
    for pause in pauses:
        now += pause
        arrival, allowance = gcra(arrival, now, limit)
        if not allowance.allowed:
            assert gcra(arrival, now + allowance.retry_after_seconds, limit)[1].allowed

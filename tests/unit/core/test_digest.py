"""Published vectors: FIPS 180-4 and GB/T 32905 appendix A."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.digest import Hasher, digests_of
from gateway.core.model import HashAlgorithm

ABC = {
    HashAlgorithm.SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    HashAlgorithm.SM3: "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
}
ABCD_16_SM3 = "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"


def test_abc_has_the_published_digests() -> None:
    assert {digest.algorithm: digest.value for digest in digests_of(b"abc")} == ABC


def test_sm3_of_a_whole_block_is_the_published_one() -> None:
    values = {digest.algorithm: digest.value for digest in digests_of(b"abcd" * 16)}
    assert values[HashAlgorithm.SM3] == ABCD_16_SM3


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_chunks_do_not_matter(chunks: list[bytes]) -> None:
    hasher = Hasher()
    for chunk in chunks:
        hasher.update(chunk)
    whole = b"".join(chunks)
    assert hasher.size == len(whole)
    assert hasher.digests() == digests_of(whole)


def test_a_hasher_gives_its_digests_once() -> None:
    hasher = Hasher()
    hasher.digests()
    with pytest.raises(Exception, match="finalized"):
        hasher.digests()

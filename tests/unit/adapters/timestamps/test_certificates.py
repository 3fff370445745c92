"""The one place of a response that may be put in order, and that nothing else moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.timestamps.certificates import in_order


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content


def response(*certificates: bytes, rest: bytes = b"") -> bytes:
    signed = der(
        0x30,
        der(0x02, b"\x03"),
        der(0x31),
        der(0x30, der(0x06, b"\x2a"), der(0xA0, der(0x04, b"token"))),
        der(0xA0, *certificates),
        der(0x31, rest),
    )
    return der(0x30, der(0x30, der(0x02, b"\x00")), der(0x30, der(0x06, b"\x2a"), der(0xA0, signed)))


LEAF, ROOT = der(0x30, b"\x09" * 200), der(0x30, b"\x01" * 100)


def test_certificates_are_sorted_and_nothing_else_is_moved() -> None:
    assert sorted([LEAF, ROOT]) == [ROOT, LEAF]
    assert in_order(response(LEAF, ROOT, rest=b"signer")) == response(ROOT, LEAF, rest=b"signer")


def test_what_is_in_order_stays() -> None:
    whole = response(ROOT, LEAF)
    assert in_order(whole) == whole
    assert in_order(response(LEAF)) == response(LEAF)


@given(st.binary(max_size=80))
def test_what_is_no_response_stays(data: bytes) -> None:
    assert in_order(data) == data


@given(st.integers(0, 500), st.integers(0, 255))
def test_a_damaged_response_keeps_its_length(place: int, value: int) -> None:
    whole = bytearray(response(LEAF, ROOT))
    whole[place % len(whole)] = value
    assert len(in_order(bytes(whole))) == len(whole)


def test_a_response_that_is_cut_short_stays() -> None:
    whole = response(LEAF, ROOT)
    for end in range(len(whole)):
        assert in_order(whole[:end]) == whole[:end]

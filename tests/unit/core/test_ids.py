from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ids import uuid7


@given(st.floats(min_value=0, max_value=2**37), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_version_7_uuid_of_its_millisecond(now: float, entropy: bytes) -> None:
    made = uuid.UUID(uuid7(now, entropy))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(now * 1000)


def test_ids_sort_by_time() -> None:
    ids = [uuid7(now, bytes(10)) for now in (1.0, 1.001, 2.0, 1_800_000_000.0)]
    assert ids == sorted(ids)


def test_too_little_entropy_is_refused() -> None:
    with pytest.raises(ValueError, match="10 bytes"):
        uuid7(1.0, b"short")

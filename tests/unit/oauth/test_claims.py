"""How single claims are read."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.oauth.claims import numeric_date


@pytest.mark.parametrize("value", [0, 1, 1_800_000_000, 1 << 40])
def test_whole_seconds_are_a_date(value: int) -> None:
    assert numeric_date(value) == value


@pytest.mark.parametrize("value", [None, True, False, "1800000000", 1_800_000_000.0, -1, (1 << 40) + 1, [], {}])
def test_anything_else_is_none(value: Any) -> None:
    assert numeric_date(value) is None

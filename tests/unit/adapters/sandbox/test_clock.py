"""The sandbox's clock goes forward."""

from __future__ import annotations

from adapters.sandbox.clock import WallClock


def test_time_does_not_go_back() -> None:
    clock = WallClock()
    first, then = clock.monotonic(), clock.monotonic()
    assert then >= first
    assert clock.now() > 1_600_000_000

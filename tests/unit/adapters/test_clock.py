from __future__ import annotations

import time

from adapters.clock import SystemClock


def test_now_is_the_systems_time() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_monotonic_never_goes_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)

"""The system's clock: the one place where time is read."""

from __future__ import annotations

import time


class SystemClock:
    def now(self) -> float:
        return time.time()  # noqa: TID251  this is the Clock port

    def monotonic(self) -> float:
        return time.monotonic()

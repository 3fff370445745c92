"""The time of the sandbox's own processes: other systems than the gateway, so they have a clock of their own."""

from __future__ import annotations

import time


class WallClock:
    """The system's clock; implements `gateway.ports.Clock`."""

    def now(self) -> float:
        return time.time()  # noqa: TID251  the one place in the sandbox

    def monotonic(self) -> float:
        return time.monotonic()

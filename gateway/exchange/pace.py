"""The times of an exchange: how long one step may take, when to ask again, when to give up."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """All in seconds."""

    deadline: float
    retry_first: float
    retry_max: float
    lease: float

    @property
    def question(self) -> float:
        """Longest time for one question; the rest of the lease is for saving its answer."""
        return self.lease * 2 / 3

    def pause(self, attempts: int) -> float:
        """Doubled each time up to the longest, with ±20 % so that many do not come back at once."""
        growing = min(self.retry_first * 2.0 ** min(attempts, 30), self.retry_max)
        return growing * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, keeps no secret

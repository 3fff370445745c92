"""GCRA (the virtual scheduling form of ITU-T I.371): one number per key says when the bucket is empty again."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from gateway.core.model import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One limit that a request must pass. `policy` is a bounded name for the RateLimit fields and metrics."""

    policy: str
    key: str
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What is left at one tier. Seconds are relative to the moment of the check."""

    policy: str
    allowed: bool
    limit: int
    remaining: int
    reset_seconds: float  # until the bucket is full again
    retry_after_seconds: float  # 0 when allowed
    window_seconds: int  # in which `limit` requests are regained


def gcra(arrival: float, now: float, tier: Tier) -> tuple[float, Allowance]:
    """New theoretical arrival time and allowance. A refused request leaves the time as it was."""
    interval = 1.0 / tier.rate.per_second
    tolerance = interval * tier.rate.burst
    following = max(arrival, now) + interval
    wait = following - tolerance - now
    if wait > 1e-9:
        return arrival, Allowance(
            policy=tier.policy,
            allowed=False,
            limit=tier.rate.burst,
            remaining=0,
            reset_seconds=max(arrival - now, 0.0),
            retry_after_seconds=wait,
            window_seconds=ceil(tolerance),
        )
    return following, Allowance(
        policy=tier.policy,
        allowed=True,
        limit=tier.rate.burst,
        remaining=int((tolerance - (following - now)) / interval + 1e-9),
        reset_seconds=following - now,
        retry_after_seconds=0.0,
        window_seconds=ceil(tolerance),
    )

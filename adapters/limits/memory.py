"""Rate limits and replay memory in this process: for one replica, or when the shared ones are out of reach.

Both are bounded. They are used from one event loop, and nothing awaits inside: each call is atomic.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Sequence

from gateway.core.quota import Allowance, Tier, gcra
from gateway.errors import Overloaded
from gateway.ports import Clock

_SWEEP_MAX = 64  # old keys looked at on one call, so that no call pays for all


class MemoryRateLimits:
    """See `ports.RateLimits`. `keys_max`: buckets that are remembered."""

    def __init__(self, clock: Clock, *, keys_max: int) -> None:
        self._clock = clock
        self._keys_max = keys_max
        self._arrivals: OrderedDict[str, float] = OrderedDict()  # least recently used first

    def __len__(self) -> int:
        return len(self._arrivals)

    async def take(self, tiers: Sequence[Tier]) -> Sequence[Allowance]:
        """A key that two tiers name is one bucket, and gives once."""
        now = self._clock.monotonic()
        following: dict[str, float] = {}
        allowances = []
        for tier in tiers:
            arrival, allowance = gcra(self._arrivals.get(tier.key, now), now, tier)
            following[tier.key] = max(arrival, following.get(tier.key, arrival))
            allowances.append(allowance)
        if all(allowance.allowed for allowance in allowances):
            for key, arrival in following.items():
                self._arrivals[key] = arrival
                self._arrivals.move_to_end(key)
            self._make_room(now)
        return allowances

    def _make_room(self, now: float) -> None:
        """Full buckets are worth nothing and go first. If none is found, the longest unused goes: its owner gains at
        most one burst, and only while more keys are active than were configured."""
        if len(self._arrivals) <= self._keys_max:
            return
        oldest = [key for key, _ in zip(self._arrivals, range(_SWEEP_MAX), strict=False)]
        full = [key for key in oldest if self._arrivals[key] <= now]
        for key in full:
            del self._arrivals[key]
        while len(self._arrivals) > self._keys_max:
            self._arrivals.popitem(last=False)


class MemoryReplays:
    """See `ports.Replays`. `ids_max`: message ids that are remembered at once."""

    def __init__(self, clock: Clock, *, ids_max: int) -> None:
        self._clock = clock
        self._ids_max = ids_max
        self._seen: set[tuple[str, str]] = set()
        self._expiries: list[tuple[float, tuple[str, str]]] = []  # heap

    async def first_time(self, scope: str, message_id: str, *, expires_at: float) -> bool:
        """An id is never forgotten early: when all places are taken by ids that can still come again, it refuses."""
        now = self._clock.now()
        while self._expiries and self._expiries[0][0] <= now:
            self._seen.discard(heapq.heappop(self._expiries)[1])
        message = (scope, message_id)
        if message in self._seen:
            return False
        if expires_at <= now:
            return True  # the caller refuses it as expired; there is nothing to remember
        if len(self._seen) >= self._ids_max:
            raise Overloaded(private="replay memory is full")
        self._seen.add(message)
        heapq.heappush(self._expiries, (expires_at, message))
        return True

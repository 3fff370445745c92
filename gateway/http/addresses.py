"""Rates by network address, for those who show nothing else: taken before a byte of a body is read."""

from __future__ import annotations

import ipaddress

from gateway.core.model import Rate
from gateway.core.quota import Tier
from gateway.errors import RateLimited
from gateway.ports import RateLimits

_PREFIX = 64  # what one subscriber has of IPv6


class Addresses:
    """`limits`: of their own, so that whoever has many addresses pushes no participant's bucket out of the memory."""

    def __init__(self, limits: RateLimits, rate: Rate) -> None:
        self._limits = limits
        self._rate = rate

    async def admit(self, address: str | None) -> None:
        """Raises RateLimited."""
        tier = Tier(policy="address", key=f"address {network(address or '')}", rate=self._rate)
        (allowance,) = await self._limits.take([tier])
        if not allowance.allowed:
            raise RateLimited(retry_after_seconds=int(allowance.retry_after_seconds) + 1, private=tier.policy)


def network(address: str) -> str:
    """The address, or of IPv6 the network that one subscriber has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4 or parsed.ipv4_mapped is not None:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, _PREFIX), strict=False))

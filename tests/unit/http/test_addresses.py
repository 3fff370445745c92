"""Rates by network address."""

from __future__ import annotations

import pytest

from adapters.limits.memory import MemoryRateLimits
from gateway.core.model import Rate
from gateway.errors import RateLimited
from gateway.http.addresses import Addresses, network
from tests.fakes import FakeClock


async def test_each_address_has_a_rate_of_its_own() -> None:
    clock = FakeClock()
    addresses = Addresses(MemoryRateLimits(clock, keys_max=10), Rate(per_second=1, burst=2))
    for _ in range(2):
        await addresses.admit("192.0.2.1")
    with pytest.raises(RateLimited) as refused:
        await addresses.admit("192.0.2.1")
    assert refused.value.private == "address"
    assert refused.value.retry_after_seconds == 2
    await addresses.admit("192.0.2.2")
    clock.advance(1)
    await addresses.admit("192.0.2.1")


async def test_one_subscriber_of_ipv6_is_one_address() -> None:
    addresses = Addresses(MemoryRateLimits(FakeClock(), keys_max=10), Rate(per_second=1, burst=1))
    await addresses.admit("2001:db8:1:2::1")
    with pytest.raises(RateLimited):
        await addresses.admit("2001:db8:1:2:ffff::9")
    await addresses.admit("2001:db8:1:3::1")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "::ffff:c000:207"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_addresses_are_told_apart_by_who_has_them(address: str, shown: str) -> None:
    assert network(address) == shown

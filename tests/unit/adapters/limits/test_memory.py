from __future__ import annotations

import pytest

from adapters.limits.memory import MemoryRateLimits, MemoryReplays
from gateway.core.model import Rate
from gateway.core.quota import Tier
from gateway.errors import Overloaded
from tests.fakes import FakeClock


def tier(key: str, *, per_second: float = 1.0, burst: int = 2) -> Tier:
    return Tier(policy="test", key=key, rate=Rate(per_second=per_second, burst=burst))


async def allowed(limits: MemoryRateLimits, *tiers: Tier) -> list[bool]:
    return [allowance.allowed for allowance in await limits.take(tiers)]


async def test_a_burst_passes_and_then_the_rate() -> None:
    clock = FakeClock()
    limits = MemoryRateLimits(clock, keys_max=10)
    assert [await allowed(limits, tier("a")) for _ in range(3)] == [[True], [True], [False]]
    clock.advance(1.0)
    assert [await allowed(limits, tier("a")) for _ in range(2)] == [[True], [False]]


async def test_keys_do_not_share() -> None:
    limits = MemoryRateLimits(FakeClock(), keys_max=10)
    await limits.take([tier("a", burst=1)])
    assert await allowed(limits, tier("b", burst=1)) == [True]


async def test_a_refused_tier_takes_nothing_from_the_others() -> None:
    limits = MemoryRateLimits(FakeClock(), keys_max=10)
    narrow, wide = tier("narrow", burst=1), tier("wide", burst=3)
    assert await allowed(limits, narrow, wide) == [True, True]
    for _ in range(5):
        assert await allowed(limits, narrow, wide) == [False, True]
    assert (await limits.take([wide]))[0].remaining == 1


async def test_full_buckets_make_room_first() -> None:
    clock = FakeClock()
    limits = MemoryRateLimits(clock, keys_max=2)
    await limits.take([tier("busy", per_second=0.01, burst=1)])
    await limits.take([tier("idle", burst=1)])
    clock.advance(10)
    await limits.take([tier("new", burst=1)])
    assert await allowed(limits, tier("busy", per_second=0.01, burst=1)) == [False]
    assert len(limits) == 2


async def test_memory_is_bounded_when_every_key_is_busy() -> None:
    limits = MemoryRateLimits(FakeClock(), keys_max=5)
    for number in range(50):
        await limits.take([tier(f"key-{number}")])
    assert len(limits) == 5


async def test_a_message_is_new_once_in_its_scope() -> None:
    clock = FakeClock()
    replays = MemoryReplays(clock, ids_max=10)
    until = clock.now() + 60
    assert await replays.first_time("dvp", "m1", expires_at=until)
    assert not await replays.first_time("dvp", "m1", expires_at=until)
    assert await replays.first_time("dpop", "m1", expires_at=until)


async def test_an_id_is_remembered_until_it_expires_and_no_longer() -> None:
    clock = FakeClock()
    replays = MemoryReplays(clock, ids_max=1)
    assert await replays.first_time("dvp", "m1", expires_at=clock.now() + 60)
    clock.advance(59.9)
    assert not await replays.first_time("dvp", "m1", expires_at=clock.now() + 60)
    clock.advance(0.2)
    assert await replays.first_time("dvp", "m2", expires_at=clock.now() + 60)


async def test_a_full_memory_refuses_rather_than_forgets() -> None:
    clock = FakeClock()
    replays = MemoryReplays(clock, ids_max=2)
    for message in ("m1", "m2"):
        assert await replays.first_time("dvp", message, expires_at=clock.now() + 60)
    with pytest.raises(Overloaded):
        await replays.first_time("dvp", "m3", expires_at=clock.now() + 60)
    assert not await replays.first_time("dvp", "m1", expires_at=clock.now() + 60)


async def test_what_has_expired_already_takes_no_place() -> None:
    clock = FakeClock()
    replays = MemoryReplays(clock, ids_max=1)
    assert await replays.first_time("dvp", "m1", expires_at=clock.now() - 1)
    assert await replays.first_time("dvp", "m2", expires_at=clock.now() + 1)

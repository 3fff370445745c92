from __future__ import annotations

import pytest

from gateway.core.model import Rate
from gateway.core.quota import Allowance, Tier, gcra


def tier(per_second: float, burst: int) -> Tier:
    return Tier(policy="p", key="k", rate=Rate(per_second=per_second, burst=burst))


def take(times: list[float], limit: Tier) -> list[Allowance]:
    arrival, allowances = 0.0, []
    for now in times:
        arrival, allowance = gcra(arrival, now, limit)
        allowances.append(allowance)
    return allowances


def test_a_full_bucket_gives_its_burst_at_once() -> None:
    allowances = take([100.0] * 4, tier(1.0, 3))
    assert [allowance.allowed for allowance in allowances] == [True, True, True, False]
    assert [allowance.remaining for allowance in allowances] == [2, 1, 0, 0]


def test_a_refusal_says_when_to_come_back() -> None:
    refused = take([100.0, 100.0, 100.25], tier(1.0, 2))[-1]
    assert refused.retry_after_seconds == pytest.approx(0.75)
    assert refused.reset_seconds == pytest.approx(1.75)


def test_coming_back_then_is_allowed() -> None:
    assert take([100.0, 100.0, 100.25, 101.0], tier(1.0, 2))[-1].allowed


def test_a_refusal_costs_nothing() -> None:
    limit = tier(1.0, 1)
    arrival, _ = gcra(0.0, 100.0, limit)
    after, refused = gcra(arrival, 100.5, limit)
    assert not refused.allowed
    assert after == arrival


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    assert take([100.0, 100_000.0], tier(5.0, 2))[-1].remaining == 1


def test_reset_is_the_time_until_the_bucket_is_full() -> None:
    assert take([100.0, 100.0], tier(4.0, 10))[-1].reset_seconds == pytest.approx(0.5)

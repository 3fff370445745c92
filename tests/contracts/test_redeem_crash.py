"""A process that redeems codes is killed at random moments: what it acknowledged is so, with its record, and once."""

from __future__ import annotations

import asyncio
import random

import pytest

from adapters.sql.store import open_store
from tests.contracts.test_crash import kill_after
from tests.fakes import FakeSealer

KILLS = 8


@pytest.mark.parametrize("together", [1, 2], ids=["one", "two at once"])
async def test_a_redeemed_code_stays_redeemed_through_kill_9(database: str, together: int) -> None:
    chance = random.Random(11)
    said: list[list[str]] = []
    for _ in range(KILLS // together):
        counts = [chance.randrange(1, 300) for _ in range(together)]
        for lines in await asyncio.gather(
            *(kill_after(database, count, child="tests.contracts.redeem_crash_child") for count in counts)
        ):
            said += lines
    granted = {name for act, name in said if act == "granted"}
    redeemed = {name for act, name in said if act == "redeemed"}
    assert redeemed
    assert redeemed <= granted

    async with open_store(database, sealer=FakeSealer(), lease_owner="r", queue_max=10_000, batch_max=99) as store:
        grants = [await store.authorization.by_id(f"grant-{name}", lambda _, __: None) for name in sorted(granted)]
        requests = [await store.authorization.pushed(f"handle-{name}") for name in sorted(granted)]
        recorded = [record.record_id for _, record in await store.waiting(limit=1_000_000)]
    assert requests == [None] * len(granted)
    kept = {grant.grant_id: grant.redeemed_at is not None for grant in grants if grant is not None}
    assert kept.keys() == {f"grant-{name}" for name in granted}
    assert all(kept[f"grant-{name}"] for name in redeemed)
    # A code and the record of its token were written in one transaction: neither is there without the other.
    assert len(recorded) == len(set(recorded))
    assert {grant_id for grant_id, done in kept.items() if done} == set(recorded) & kept.keys()

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.audit.record import Record
from gateway.compliance import holding, pruning
from gateway.compliance.approval import Approval
from gateway.errors import StateConflict
from tests.compliance_desk import OPERATOR, about, open_log
from tests.samples import NOW, unique

DAY = 86_400
DAYS = {"standard": 100, "operational": 10}


def old(count: int, days: float, **changes: Any) -> list[Record]:
    return [
        Record(record_id=unique("record"), time=NOW - days * DAY, type="consent.expired", **changes)
        for _ in range(count)
    ]


async def plan(log: Any, **changes: Any) -> pruning.Plan:
    values: dict[str, Any] = {"published": 10**9, "now": NOW, "days": DAYS}
    return await pruning.plan(log, log, **(values | changes))


async def test_bundles_whose_time_is_over_go_and_their_hashes_stay(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([*old(600, 200), *old(100, 1)])
        before = await log.entries(0, 700)
        made = await plan(log)
        assert (made.first, made.below, made.count) == (0, 512, 512)
        assert made.kept is not None
        assert made.kept.index == 600
        assert await pruning.prune(log, OPERATOR, made, now=NOW, approved=None) == 512
        after = await log.entries(0, 701)
    assert [stored.entry for stored in after[:512]] == [None] * 512
    assert [stored.leaf_hash for stored in after[:700]] == [stored.leaf_hash for stored in before]
    assert after[512].entry == before[512].entry
    act = orjson.loads(after[700].entry or b"")
    assert (act["type"], act["retention"]) == ("audit.pruned", "standard")
    assert act["facts"] == {"from": 0, "below": 512, "newest": orjson.loads(before[0].entry or b"")["time"]}


async def test_the_next_pruning_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([*old(256, 200), *old(256, 99), *old(1, 0)])
        await pruning.prune(log, OPERATOR, await plan(log), now=NOW, approved=None)
        assert (await plan(log)).count == 0
        await log.append([Record(record_id="later", time=NOW + 5 * DAY, type="consent.expired")])
        later = await plan(log, now=NOW + 5 * DAY)
    assert (later.first, later.below) == (256, 512)


async def test_nothing_old_enough_is_no_pruning_and_no_record(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append(old(300, 1))
        made = await plan(log)
        assert (made.count, made.newest) == (0, None)
        assert await pruning.prune(log, OPERATOR, made, now=NOW, approved=None) == 0
        assert (await log.head()).size == 300


async def test_nothing_goes_before_outsiders_could_verify_it(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([*old(600, 200), *old(1, 0)])
        assert (await plan(log, published=511)).below == 256
        assert (await plan(log, published=0)).below == 0


async def test_nothing_goes_before_every_receiver_of_copies_has_it(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([*old(600, 200), *old(1, 0)])
        made = await plan(log, forwarded=300)
        assert (made.below, made.forwarded) == (256, 300)
        assert (await plan(log, forwarded=0)).count == 0
        assert (await plan(log)).below == 512


async def test_a_hold_keeps_all_from_its_index_on(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([*old(600, 200), *old(1, 0)])
        await holding.hold(log, OPERATOR, hold_id="CASE-1", reason="LITIGATION", now=NOW, from_index=300)
        made = await plan(log)
    assert (made.below, made.held) == (256, 300)


async def test_a_hold_that_is_set_meanwhile_stops_the_pruning(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([*old(300, 200), *old(1, 0)])
        made = await plan(log)
        await holding.hold(log, OPERATOR, hold_id="CASE-1", reason="LITIGATION", now=NOW)
        with pytest.raises(StateConflict):
            await pruning.prune(log, OPERATOR, made, now=NOW, approved=None)
        [first] = await log.entries(0, 1)
        assert first.entry is not None


async def test_a_clock_that_is_ahead_prunes_nothing_early(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append(old(600, 1))
        assert (await plan(log, now=NOW + 20_000 * DAY)).count == 0


async def test_it_can_be_told_to_go_less_far(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([*old(600, 200), *old(1, 0)])
        assert (await plan(log, most=256)).below == 256
        assert (await plan(log, most=255)).below == 0


async def test_an_empty_log_has_nothing_to_prune(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        assert (await plan(log)).count == 0


async def test_the_approval_is_in_the_record(tmp_path: Path) -> None:
    approved = Approval(approval_id="1" * 32, approver="officer-2", expires_at=NOW + 60)
    async with open_log(tmp_path) as log:
        await log.append([*old(256, 200), about("a" * 64)])
        await pruning.prune(log, OPERATOR, await plan(log), now=NOW, approved=approved)
        [act] = await log.entries(257, 1)
    facts = orjson.loads(act.entry or b"")["facts"]
    assert (facts["approval"], facts["approver"]) == ("1" * 32, "officer-2")


def test_the_request_names_what_is_approved() -> None:
    asked = pruning.asked(OPERATOR, "log.example", 512, NOW)
    assert (asked.action, asked.what) == ("prune", {"log": "log.example", "below": 512})

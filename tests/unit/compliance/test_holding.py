from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.compliance import holding
from gateway.compliance.approval import Approval
from gateway.errors import StateConflict
from gateway.ports import Hold
from tests.compliance_desk import OPERATOR, OWNER, open_log
from tests.samples import NOW


async def last(log: Any) -> dict[str, Any]:
    size = (await log.head()).size
    [stored] = await log.entries(size - 1, 1)
    body: dict[str, Any] = orjson.loads(stored.entry)
    return body


async def test_a_hold_is_listed_and_on_record(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        made = await holding.hold(
            log, OPERATOR, hold_id="CASE-1", reason="LITIGATION", now=NOW, subject=OWNER, from_index=300
        )
        assert list(await log.holds()) == [made]
        assert made == Hold(hold_id="CASE-1", subject=OWNER, from_index=300, reason="LITIGATION", since=NOW)
        act = await last(log)
    assert (act["type"], act["subject"], act["reason"]) == ("audit.held", OWNER, "LITIGATION")
    assert act["facts"] == {"hold": "CASE-1", "from": 300}


async def test_a_hold_on_everybody_names_nobody(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await holding.hold(log, OPERATOR, hold_id="CASE-1", reason="LITIGATION", now=NOW)
        assert "subject" not in await last(log)


async def test_a_release_is_on_record_and_one_of_nothing_is_not(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await holding.hold(log, OPERATOR, hold_id="CASE-1", reason="LITIGATION", now=NOW)
        assert await holding.release(log, OPERATOR, hold_id="CASE-1", reason="CASE_CLOSED", now=NOW, approved=None)
        act = await last(log)
        assert (act["type"], act["reason"], act["facts"]) == ("audit.released", "CASE_CLOSED", {"hold": "CASE-1"})
        assert not await holding.release(log, OPERATOR, hold_id="CASE-1", reason="CASE_CLOSED", now=NOW, approved=None)
        assert (await log.head()).size == 2
        assert not await log.holds()


async def test_two_holds_have_two_ids(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await holding.hold(log, OPERATOR, hold_id="CASE-1", reason="LITIGATION", now=NOW)
        with pytest.raises(StateConflict):
            await holding.hold(log, OPERATOR, hold_id="CASE-1", reason="OTHER_CASE", now=NOW)
        assert (await log.head()).size == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"hold_id": "case of Ms Chan"},
        {"reason": "because she sued"},
        {"subject": "owner-7"},
        {"from_index": -1},
    ],
)
async def test_identities_and_free_text_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    values: dict[str, Any] = {"hold_id": "CASE-1", "reason": "LITIGATION", "now": NOW}
    async with open_log(tmp_path) as log:
        with pytest.raises(ValueError):
            await holding.hold(log, OPERATOR, **(values | changes))
        assert not await log.holds()


async def test_a_release_needs_a_code_too(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        with pytest.raises(ValueError):
            await holding.release(log, OPERATOR, hold_id="CASE-1", reason="no longer needed", now=NOW, approved=None)


async def test_who_approved_a_release_is_on_record(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await holding.hold(log, OPERATOR, hold_id="CASE-1", reason="LITIGATION", now=NOW)
        agreed = Approval(approval_id="a" * 32, approver="officer-2", expires_at=int(NOW) + 60)
        await holding.release(log, OPERATOR, hold_id="CASE-1", reason="CASE_CLOSED", now=NOW, approved=agreed)
        assert (await last(log))["facts"] == {"hold": "CASE-1", **agreed.facts}


def test_the_second_person_sees_which_hold_of_which_log() -> None:
    held = Hold(hold_id="CASE-1", subject=None, from_index=300, reason="LITIGATION", since=1_800_000_000.5)
    asked = holding.asked(OPERATOR, "log.example", held, "CASE_CLOSED", NOW)
    assert (asked.action, asked.requester) == ("release", OPERATOR.name)
    assert asked.what == {
        "log": "log.example",
        "hold": "CASE-1",
        "since": "2027-01-15T08:00:00.500000+00:00",
        "subject": "everybody",
        "from": 300,
        "reason": "CASE_CLOSED",
    }

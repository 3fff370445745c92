from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from gateway.audit.privacy import opened
from gateway.audit.record import Record
from gateway.compliance import erasing, holding
from gateway.compliance.approval import Approval
from gateway.errors import StateConflict
from gateway.ports import SearchIndex
from tests.compliance_desk import OPERATOR, OTHER, OWNER, ForgetfulIndex, about, open_log
from tests.samples import NOW


async def erase(log: Any, index: ForgetfulIndex, subject: str = OWNER, **changes: Any) -> bool:
    values: dict[str, Any] = {"subject": subject, "reason": "OWNER_REQUEST", "now": NOW, "approved": None}
    return await erasing.erase(log, cast(SearchIndex, index), OPERATOR, **(values | changes))


async def read(log: Any) -> list[dict[str, Any]]:
    size = (await log.head()).size
    entries = await log.entries(0, size)
    open_ = await log.open_for([OWNER, OTHER])
    return [opened(stored.entry, open_) for stored in entries]


async def test_an_erased_owner_is_unreadable_and_the_other_is_not(tmp_path: Path) -> None:
    index = ForgetfulIndex()
    async with open_log(tmp_path) as log:
        await log.append([about(OWNER), about(OTHER)])
        before = await log.entries(0, 2)
        assert await erase(log, index)
        first, second, act = await read(log)
        after = await log.entries(0, 2)
    assert first["sealed"] == "erased"
    assert "digest" not in first["document"]
    assert second["document"]["digest"] == "d" * 64
    assert (act["type"], act["subject"], act["reason"]) == ("audit.erased", OWNER, "OWNER_REQUEST")
    assert act["actor"] == {"participant": OPERATOR.participant, "role": "auditor", "client": "officer-1"}
    assert after == before  # no byte of the log changed
    assert index.forgotten == [OWNER]


async def test_erasing_twice_says_so_and_writes_nothing(tmp_path: Path) -> None:
    index = ForgetfulIndex()
    async with open_log(tmp_path) as log:
        await log.append([about(OWNER)])
        assert await erase(log, index)
        assert not await erase(log, index)
        assert (await log.head()).size == 2
    assert index.forgotten == [OWNER, OWNER]  # the index is mended by a repeat


async def test_a_hold_blocks_the_erasure_until_it_is_released(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([about(OWNER)])
        await holding.hold(log, OPERATOR, hold_id="CASE-1", reason="LITIGATION", now=NOW, subject=OWNER)
        with pytest.raises(StateConflict):
            await erase(log, ForgetfulIndex())
        assert "sealed" not in (await read(log))[0]
        await holding.release(log, OPERATOR, hold_id="CASE-1", reason="CASE_CLOSED", now=NOW, approved=None)
        assert await erase(log, ForgetfulIndex())


async def test_another_process_takes_the_erasure_into_account(tmp_path: Path) -> None:
    async with open_log(tmp_path) as running, open_log(tmp_path) as command:
        await running.append([about(OWNER)])
        await erase(command, ForgetfulIndex())
        await running.append([about(OWNER)])
        first, _, third = await read(running)
        old, _, new = (orjson.loads(stored.entry or b"") for stored in await running.entries(0, 3))
    assert first["sealed"] == "erased"
    assert third["document"]["digest"] == "d" * 64  # what comes later is sealed under a new key
    assert old["sealed"]["key"] != new["sealed"]["key"]


async def test_the_approval_is_in_the_record(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([about(OWNER)])
        approved = Approval(approval_id="1" * 32, approver="officer-2", expires_at=NOW + 60)
        await erase(log, ForgetfulIndex(), approved=approved)
        assert (await read(log))[1]["facts"] == {"approval": "1" * 32, "approver": "officer-2"}


async def test_what_an_erasure_would_meet_is_counted_first(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        read_by_somebody = Record(record_id="r", time=NOW, type="audit.read", subject=OWNER)
        await log.append([about(OWNER), about(OTHER), about(OWNER), read_by_somebody])
        await holding.hold(log, OPERATOR, hold_id="CASE-1", reason="LITIGATION", now=NOW)
        seen: list[tuple[int, int]] = []
        found = await erasing.concerned(log, log, OWNER, progress=lambda done, of: seen.append((done, of)))
    assert found == erasing.Concerned(entries=3, sealed=2, holds=("CASE-1",))
    assert seen == [(5, 5)]


def test_the_request_names_what_is_approved() -> None:
    asked = erasing.asked(OPERATOR, "log.example", OWNER, "OWNER_REQUEST", NOW)
    assert (asked.action, asked.requester) == ("erase", "officer-1")
    assert asked.what == {"log": "log.example", "subject": OWNER, "reason": "OWNER_REQUEST"}
    other = erasing.asked(OPERATOR, "other.example", OWNER, "OWNER_REQUEST", NOW)
    assert asked.content != other.content  # an approval for a test system is none for the real one


@pytest.mark.parametrize(
    "changes", [{"subject": "owner-7"}, {"subject": "A" * 64}, {"reason": "she asked us to"}, {"reason": ""}]
)
async def test_identities_and_free_text_are_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    async with open_log(tmp_path) as log:
        with pytest.raises(ValueError):
            await erase(log, ForgetfulIndex(), **changes)
        assert (await log.head()).size == 0

"""The break-glass: only for a log that lost what was signed, and on record under the new name."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gateway.audit.note import Checkpoint
from gateway.compliance import recovering
from gateway.compliance.approval import Approval
from gateway.errors import StateConflict
from tests import samples
from tests.compliance_desk import OPERATOR, open_log
from tests.samples import NOW


async def test_a_log_that_lost_entries_goes_on_under_another_name(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([samples.record() for _ in range(5)])
        head = await log.head()
        signed = Checkpoint(origin=head.origin, size=9, root=bytes(32))
        lost = await recovering.loss(log, signed)
        assert lost.kept == 5
        await recovering.recover(log, OPERATOR, lost, new_origin="test.example/new", now=NOW, approved=None)
        after = await log.head()
        assert (after.origin, after.size) == ("test.example/new", 6)
        [stored] = await log.entries(5, 1)
        assert stored.entry is not None
        body = orjson.loads(stored.entry)
        assert body["type"] == "audit.recovered"
        assert body["actor"]["client"] == OPERATOR.name
        assert body["facts"] == {
            "origin": head.origin,
            "size": 9,
            "root": "00" * 32,
            "kept": 5,
            "newOrigin": "test.example/new",
        }


async def test_entries_that_are_others_than_signed_are_lost_too(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([samples.record() for _ in range(5)])
        signed = Checkpoint(origin=(await log.head()).origin, size=3, root=bytes(32))
        assert (await recovering.loss(log, signed)).kept == 5


async def test_a_log_that_has_what_was_signed_is_not_recovered(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([samples.record() for _ in range(5)])
        head = await log.head()
        await log.append([samples.record()])
        with pytest.raises(StateConflict, match="nothing to recover"):
            await recovering.loss(log, Checkpoint(origin=head.origin, size=head.size, root=head.root))


async def test_the_second_person_sees_what_is_given_up_and_is_on_record(tmp_path: Path) -> None:
    async with open_log(tmp_path) as log:
        await log.append([samples.record() for _ in range(5)])
        signed = Checkpoint(origin=(await log.head()).origin, size=9, root=bytes(32))
        lost = await recovering.loss(log, signed)
        asked = recovering.asked(OPERATOR, lost, "test.example/new", NOW)
        assert (asked.action, asked.requester) == ("recover", OPERATOR.name)
        assert asked.what == {
            "origin": signed.origin,
            "size": 9,
            "root": "00" * 32,
            "kept": 5,
            "newOrigin": "test.example/new",
        }
        agreed = Approval(approval_id="a" * 32, approver="officer-2", expires_at=int(NOW) + 60)
        await recovering.recover(log, OPERATOR, lost, new_origin="test.example/new", now=NOW, approved=agreed)
        [stored] = await log.entries(5, 1)
        assert orjson.loads(stored.entry or b"")["facts"] == {**asked.what, **agreed.facts}

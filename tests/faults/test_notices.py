"""The feed of what happened since: nothing missing, nothing twice, nothing of others, whoever was down in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.live_sandbox import DAY_SECONDS, DOCUMENT_TYPE, ISSUER, Issued, Permission, Scene, eventually, scene_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

Notice = dict[str, Any]


async def test_revoked_evidence_is_told_once_to_each_bank_that_relied_on_it(scene: Scene) -> None:
    document, other = await scene.issued(), await scene.issued()
    async with scene_in(scene.world, "bank-b") as second:
        matched = [await _matched(scene, document) for _ in range(2)]
        matched_there = await _matched(second, document)
        changed = await scene.ask(await scene.permission(), document.changed(), wait_seconds=10)
        assert changed.json["verification"]["outcome"] == "MISMATCH"
        await _matched(scene, other)

        await scene.world.control.revoke(document.evidence_id or "", "ISSUED_IN_ERROR")
        await eventually(lambda: _told(scene, document, 2))
        await eventually(lambda: _told(second, document, 1))
        # The platform forgets that it was heard, and says all of it again.
        before = len(_heard(scene, document))
        await scene.world.stop_platform()
        (scene.world.folder / "platform/acknowledged.jsonl").unlink()
        await scene.world.start_platform()
        assert await eventually(lambda: _heard_more_than(scene, document, before))

        here, there = await _revocations(scene, document), await _revocations(second, document)
        assert {notice["dataRequestId"] for notice in here} == set(matched)
        assert [notice["dataRequestId"] for notice in there] == [matched_there]
        assert len(here) == 2
        assert len(_heard(scene, document)) == before + 1
    assert await _revocations(scene, other) == []


async def test_a_revocation_reaches_a_gateway_that_was_down(scene: Scene) -> None:
    document = await scene.issued()
    matched = await _matched(scene, document)
    await scene.world.kill_gateway()
    await scene.world.control.revoke(document.evidence_id or "")
    await scene.world.start_gateway()
    await eventually(lambda: _told(scene, document, 1))
    assert [notice["dataRequestId"] for notice in await _revocations(scene, document)] == [matched]
    again = await scene.ask(await scene.permission(), document, wait_seconds=10)
    assert again.json["verification"]["outcome"] == "REVOKED"


async def test_a_waiting_bank_is_woken_by_the_revocation(scene: Scene) -> None:
    document = await scene.issued()
    matched = await _matched(scene, document)
    cursor = await _cursor(scene)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(scene.bank.notices(token=scene.token, after=cursor, wait_seconds=30))
        await scene.world.control.revoke(document.evidence_id or "")
    told = waiting.result().json
    assert [(one["type"], one["dataRequestId"]) for one in told["notices"]] == [("EVIDENCE_REVOKED", matched)]
    assert told["next"] == told["notices"][-1]["sequence"] > cursor


async def test_reading_while_others_write_loses_no_notice(scene: Scene) -> None:
    start = await _cursor(scene)
    permissions = [await scene.permission() for _ in range(15)]
    document = await scene.issued()
    read: list[Notice] = []

    async def read_all() -> None:
        """Pages of three, from the first notice on, until the last consent has ended."""
        after = start
        while Counter(notice["type"] for notice in read)["CONSENT_CONSUMED"] < len(permissions):
            path = f"/cdi/v1/notices?after={after}&limit=3&wait=5"
            page = (await scene.bank.call("GET", path, token=scene.token)).json
            read.extend(page["notices"])
            after = page["next"]

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(read_all())
        for permission in permissions:
            tasks.create_task(scene.ask(permission, document))
    sequences = [notice["sequence"] for notice in read]
    assert sequences == sorted(set(sequences))
    assert _unsigned(read) == _unsigned(await _all(scene, start))[: len(read)]
    assert Counter(notice["type"] for notice in await _all(scene, start)) == {
        "CONSENT_VALID": 15,
        "DATA_REQUEST_FINAL": 15,
        "CONSENT_CONSUMED": 15,
    }


def _unsigned(notices: list[Notice]) -> list[Notice]:
    """Without their tokens, which are signed when they are read."""
    return [{name: value for name, value in notice.items() if name != "token"} for notice in notices]


async def test_every_end_of_a_consent_is_told(scene: Scene) -> None:
    now = int(scene.world.clock.now())
    revoked, consumed = await scene.permission(), await scene.permission()
    await scene.bank.revoke_consent(revoked.consent_id, token=scene.token)
    await scene.ask(consumed, await scene.issued(), wait_seconds=10)
    rejected = await scene.bank.submit_consent(
        token=scene.token, provider_id=ISSUER, document_type="BANK_STATEMENT", expire_time=now + DAY_SECONDS
    )
    assert rejected.json["status"] == "ConsentRejected"
    expired = await scene.bank.submit_consent(
        token=scene.token, provider_id=ISSUER, document_type=DOCUMENT_TYPE, expire_time=now + 2
    )
    assert expired.json["status"] == "ConsentSubmitted"

    expected = {
        revoked.consent_id: ["CONSENT_VALID", "CONSENT_REVOKED"],
        consumed.consent_id: ["CONSENT_VALID", "DATA_REQUEST_FINAL", "CONSENT_CONSUMED"],
        rejected.json["consentId"]: ["CONSENT_REJECTED"],
        expired.json["consentId"]: ["CONSENT_EXPIRED"],
    }

    async def told() -> bool:
        notices = await _all(scene)
        return {one: _types(notices, one) for one in expected} == expected

    assert await eventually(told)
    late = await scene.bank.call("GET", f"/cdi/v1/consents/{expired.json['consentId']}", token=scene.token)
    assert late.json["status"] == "ConsentExpired"


async def test_a_bank_sees_its_own_notices_only(scene: Scene) -> None:
    async with scene_in(scene.world, "bank-b") as second:
        permission = await scene.permission()
        reply = await scene.ask(permission, await scene.issued(), wait_seconds=10)
        assert reply.status == 200
        theirs = await _all(second)
        assert all(notice.get("consentId") != permission.consent_id for notice in theirs)
        assert {notice.get("consentId") for notice in await _all(scene)} >= {permission.consent_id}


async def _matched(scene: Scene, document: Issued) -> str:
    """The id of a data request with a delivered MATCH."""
    permission: Permission = await scene.permission()
    reply = await scene.ask(permission, document, wait_seconds=10)
    assert reply.json["verification"]["outcome"] == "MATCH"
    return str(reply.json["dataRequestId"])


async def _all(scene: Scene, after: int = 0) -> list[Notice]:
    found: list[Notice] = []
    while page := (await scene.bank.notices(token=scene.token, after=after)).json["notices"]:
        found += page
        after = page[-1]["sequence"]
    return found


async def _cursor(scene: Scene) -> int:
    return max((notice["sequence"] for notice in await _all(scene)), default=0)


async def _revocations(scene: Scene, document: Issued) -> list[Notice]:
    return [notice for notice in await _all(scene) if notice.get("evidenceId") == document.evidence_id]


async def _told(scene: Scene, document: Issued, count: int) -> bool:
    return len(await _revocations(scene, document)) == count


def _heard(scene: Scene, document: Issued) -> list[dict[str, Any]]:
    """The audit entries of this evidence's revocation: one for each time that the platform said it."""
    return [
        entry
        for entry in scene.audited()
        if entry["type"] == "evidence.revoked" and entry["evidence"] == document.evidence_id
    ]


async def _heard_more_than(scene: Scene, document: Issued, count: int) -> bool:
    return len(_heard(scene, document)) > count


def _types(notices: list[Notice], consent_id: str) -> list[str]:
    return [notice["type"] for notice in notices if notice.get("consentId") == consent_id]

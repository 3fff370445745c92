"""Many at once: uses add up exactly, a key makes one request, and what a consent no longer covers does not leave."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from typing import Any

import pytest

from adapters.sandbox.bank import Reply
from tests.live_sandbox import Issued, Permission, Scene, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

BATCH = "/cdi/v1/data-requests/batch"


async def test_a_hundred_questions_on_a_one_use_consent_yield_exactly_one(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission(max_uses=1)
    replies = await asyncio.gather(*(scene.ask(permission, document, wait_seconds=20) for _ in range(100)))
    assert Counter((reply.status, reply.code) for reply in replies) == {(200, None): 1, (403, "CONSENT_CONSUMED"): 99}
    winner = next(reply for reply in replies if reply.status == 200)
    assert winner.json["verification"]["outcome"] == "MATCH"

    assert len(await scene.journalled(document)) == 1
    consent = await scene.consent(permission)
    assert (consent["status"], consent["usage"]["used"]) == ("ConsentConsumed", 1)
    types = Counter(_types(scene, permission))
    assert types["verification.intended"] == types["verification.decided"] == types["consent.consumed"] == 1


async def test_one_key_sent_twenty_times_at_once_makes_one_data_request(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission(max_uses=20)
    key = str(uuid.uuid4())
    replies = await asyncio.gather(*(scene.ask(permission, document, wait_seconds=20, key=key) for _ in range(20)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.json["dataRequestId"] for reply in replies}) == 1
    assert {reply.json["verification"]["outcome"] for reply in replies} == {"MATCH"}
    assert len(await scene.journalled(document)) == 1
    assert await scene.used(permission) == 1

    other = await scene.ask(permission, scene.unregistered(), key=key)
    assert (other.status, other.code) == (422, "IDEMPOTENCY_CONFLICT")


async def test_uses_add_up_whatever_becomes_of_the_requests(scene: Scene) -> None:
    """Fifty at once for ten uses: three are cancelled under way, the others find a match, a mismatch or nothing."""
    genuine, permission = await scene.issued(), await scene.permission(max_uses=10)
    documents = [genuine, genuine.changed(), scene.unregistered()]
    with scene.frozen_platform():
        replies = await asyncio.gather(*(scene.ask(permission, documents[index % 3]) for index in range(50)))
        codes = Counter((reply.status, reply.code) for reply in replies)
        assert codes == {(202, None): 10, (403, "CONSENT_CONSUMED"): 40}
        accepted = [reply.json["dataRequestId"] for reply in replies if reply.status == 202]
        cancelled = await asyncio.gather(*(_cancel(scene, one) for one in accepted[:3]))
        assert {reply.json["status"] for reply in cancelled} == {"DataRequestCancelled"}
    finals = await asyncio.gather(*(scene.final(one) for one in accepted))
    assert Counter(one["status"] for one in finals) == {"DataRequestCancelled": 3, "DataRequestDataShared": 7}
    assert all("verification" not in one and "responseList" not in one for one in finals[:3])
    consent = await scene.consent(permission)
    assert (consent["status"], consent["usage"]["used"]) == ("ConsentValid", 7)

    more = await asyncio.gather(*(scene.ask(permission, genuine, wait_seconds=20) for _ in range(20)))
    assert Counter(reply.status for reply in more) == {200: 3, 403: 17}
    consent = await scene.consent(permission)
    assert (consent["status"], consent["usage"]["used"]) == ("ConsentConsumed", 10)


async def test_cancelling_and_finishing_at_once_leaves_one_of_the_two(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission(max_uses=20)

    async def race() -> dict[str, Any]:
        reply = await scene.ask(permission, document)
        await _cancel(scene, reply.json["dataRequestId"])
        return await scene.final(reply.json["dataRequestId"])

    finals = await asyncio.gather(*(race() for _ in range(20)))
    statuses = Counter(one["status"] for one in finals)
    assert statuses.keys() <= {"DataRequestCancelled", "DataRequestDataShared"}
    assert all(("responseList" in one) == (one["status"] == "DataRequestDataShared") for one in finals)
    assert await scene.used(permission) == statuses["DataRequestDataShared"]


async def test_a_batch_of_a_thousand_gives_each_its_own_result(scene: Scene) -> None:
    genuine, permission = await scene.issued(), await scene.permission(max_uses=1_000)
    documents = [genuine, genuine.changed(), scene.unregistered()]
    requests = [_request(permission, documents[index % 3]) for index in range(1_000)]
    requests[10] = {"consentId": permission.consent_id}
    requests[20] |= {"purpose": "MARKETING"}
    requests[30] |= {"consentId": str(uuid.uuid4())}
    requests[40] |= {"document": {**requests[40]["document"], "issuerId": "SZBANK0001DP"}}
    wrong = {10: "SCHEMA_INVALID", 20: "SCHEMA_INVALID", 30: "CONSENT_NOT_FOUND", 40: "CONSENT_SCOPE_EXCEEDED"}
    key = str(uuid.uuid4())

    first = await _batch(scene, permission, requests, key)
    assert first.status == 200
    results = first.json["results"]
    assert len(results) == 1_000
    refused = {index: one["problem"]["code"] for index, one in enumerate(results) if "problem" in one}
    assert refused == wrong
    ids = [one["dataRequest"]["dataRequestId"] for one in results if "dataRequest" in one]
    assert len(set(ids)) == 996

    await eventually(lambda: _all_used(scene, permission, 996), seconds=60)
    again = await _batch(scene, permission, requests, key)
    assert again.status == 200
    assert [one["dataRequest"]["dataRequestId"] for one in again.json["results"] if "dataRequest" in one] == ids
    for index, one in enumerate(again.json["results"]):
        if index not in wrong:
            assert one["status"] == 200
            expected = ("MATCH", "MISMATCH", "NOT_REGISTERED")[index % 3]
            assert one["dataRequest"]["verification"]["outcome"] == expected
    assert await scene.used(permission) == 996


async def test_nothing_is_delivered_after_the_answer_to_the_revocation(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission(max_uses=20)
    with scene.frozen_platform():
        replies = await asyncio.gather(*(scene.ask(permission, document) for _ in range(20)))
        ids = [reply.json["dataRequestId"] for reply in replies]
        revoked = await scene.bank.revoke_consent(permission.consent_id, token=scene.token)
        assert revoked.json["status"] == "ConsentRevoked"

    for reply in await asyncio.gather(
        *(scene.bank.data_request(one, token=scene.token, wait_seconds=20) for one in ids)
    ):
        assert reply.json["status"] == "DataRequestRejected"
        assert reply.json["rejectReasonCode"] == "DataRequestRejectReasonInvalidConsent"
        assert (reply.json["rejectReasonDetail"], reply.json["mayRetry"]) == ("CONSENT_REVOKED", False)
        assert "verification" not in reply.json
        assert "responseList" not in reply.json
    assert await scene.used(permission) == 0
    refused = await scene.ask(permission, document)
    assert (refused.status, refused.code) == (403, "CONSENT_REVOKED")


async def test_what_is_delivered_around_a_revocation_is_counted(scene: Scene) -> None:
    """Without a delay some answers come before the revocation and some do not: uses and outcomes agree."""
    document, permission = await scene.issued(), await scene.permission(max_uses=60)
    asking = asyncio.gather(*(scene.ask(permission, document, wait_seconds=20) for _ in range(60)))
    revoking = scene.bank.revoke_consent(permission.consent_id, token=scene.token)
    replies, revoked = await asyncio.gather(asking, revoking)
    # The first use may still be ahead of the revocation: a consent that nobody used yet can be revoked all the same.
    assert revoked.status == 200
    accepted = [reply.json for reply in replies if reply.status == 200]
    assert {reply.code for reply in replies if reply.status != 200} <= {"CONSENT_REVOKED"}
    statuses = Counter(one["status"] for one in accepted)
    assert statuses.keys() <= {"DataRequestDataShared", "DataRequestRejected"}
    consent = await scene.consent(permission)
    assert (consent["status"], consent["usage"]["used"]) == ("ConsentRevoked", statuses["DataRequestDataShared"])


async def _cancel(scene: Scene, request_id: str) -> Reply:
    return await scene.bank.call("POST", f"/cdi/v1/data-requests/{request_id}/cancellation", token=scene.token)


async def _all_used(scene: Scene, permission: Permission, count: int) -> bool:
    return await scene.used(permission) == count


async def _batch(scene: Scene, permission: Permission, requests: list[dict[str, Any]], key: str) -> Reply:
    return await scene.bank.call("POST", BATCH, token=permission.token, json={"requests": requests}, key=key)


def _request(permission: Permission, document: Issued) -> dict[str, Any]:
    scope = dict(permission.consent["scope"])
    if document.voucher is not None:
        scope["udr"] = document.voucher
    return {
        "consentId": permission.consent_id,
        "dataScope": scope,
        "purpose": permission.consent["purpose"],
        "document": {"issuerId": permission.consent["dataProviderId"], "digests": document.digests},
    }


def _types(scene: Scene, permission: Permission) -> list[str]:
    return [entry["type"] for entry in scene.audited() if entry.get("consent", {}).get("id") == permission.consent_id]

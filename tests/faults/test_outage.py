"""Outages say nothing about a document, and lose no question: of the platform, of the gateway, of the chain."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.live_sandbox import Issued, Permission, Scene, configured, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

BREAKER = 'cdi_breaker_state{platform="DVPSANDBOX01"}'


async def test_a_question_survives_an_outage_of_the_platform(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission()
    await scene.world.stop_platform()
    reply = await scene.ask(permission, document, wait_seconds=1)
    assert (reply.status, reply.json["status"]) == (202, "DataRequestApproved")
    assert _verification(reply.json) == ("INDETERMINATE", "REGISTRY_UNAVAILABLE")
    assert reply.json["verification"]["integrity"] == "UNKNOWN"
    assert reply.headers["Location"].endswith(reply.json["dataRequestId"])

    await scene.world.start_platform()
    final = await scene.final(reply.json["dataRequestId"])
    assert (final["status"], _verification(final)) == ("DataRequestDataShared", ("MATCH", None))
    assert await scene.used(permission) == 1


async def test_a_question_survives_a_platform_that_hangs(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission()
    with scene.frozen_platform():
        reply = await scene.ask(permission, document)
        judged = await scene.judged(reply.json["dataRequestId"])
    assert _verification(judged) == ("INDETERMINATE", "TIMEOUT")
    assert _verification(await scene.final(reply.json["dataRequestId"])) == ("MATCH", None)
    assert len({entry["requestId"] for entry in await scene.journalled(document)}) == 1


async def test_a_killed_gateway_goes_on_where_it_was(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission()
    await scene.world.control.faults("outage")
    key = "asked-before-the-crash"
    reply = await scene.ask(permission, document, key=key)
    assert _verification(await scene.judged(reply.json["dataRequestId"])) == ("INDETERMINATE", "REGISTRY_UNAVAILABLE")

    await scene.world.kill_gateway()
    await scene.world.control.faults("none")
    await scene.world.start_gateway()
    final = await scene.final(reply.json["dataRequestId"])
    assert _verification(final) == ("MATCH", None)
    await _assert_asked_and_counted_once(scene, permission, document, final)
    again = await scene.ask(permission, document, key=key)
    assert (again.status, again.json["dataRequestId"]) == (200, reply.json["dataRequestId"])


async def test_a_gateway_killed_during_the_question_puts_the_same_one_again(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission()
    await scene.world.control.faults("delay", delay_seconds=20)
    reply = await scene.ask(permission, document)
    assert await eventually(lambda: _asked(scene, document))

    await scene.world.kill_gateway()
    await scene.world.control.faults("none")
    await scene.world.start_gateway()
    final = await scene.final(reply.json["dataRequestId"])
    assert _verification(final) == ("MATCH", None)
    assert len(await scene.journalled(document)) >= 2
    await _assert_asked_and_counted_once(scene, permission, document, final)


async def test_a_gateway_that_slept_through_its_lease_counts_once(scene: Scene) -> None:
    """Its answer comes when another process could have been asking for long: one use, one outcome all the same."""
    document, permission = await scene.issued(), await scene.permission()
    await scene.world.control.faults("delay", delay_seconds=0.5)
    reply = await scene.ask(permission, document)
    assert await eventually(lambda: _asked(scene, document))
    scene.world.gateway.signal(signal.SIGSTOP)
    try:
        lease = scene.lease_until(reply.json["dataRequestId"])
        assert await eventually(lambda: _past(scene, lease))
    finally:
        scene.world.gateway.signal(signal.SIGCONT)
    final = await scene.final(reply.json["dataRequestId"])
    assert _verification(final) == ("MATCH", None)
    await _assert_asked_and_counted_once(scene, permission, document, final)


async def test_a_deadline_that_passes_while_the_gateway_is_down_is_kept(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission(max_uses=1)
    async with configured(scene.world, {"exchange": {"deadline_seconds": 1}}):
        await scene.world.control.faults("ack")
        reply = await scene.ask(permission, document)
        assert _verification(await scene.judged(reply.json["dataRequestId"])) == ("INDETERMINATE", "PENDING_ON_CHAIN")
        await scene.world.kill_gateway()
        deadline = reply.json["createTime"]["t"] + 2
        assert await eventually(lambda: _past(scene, deadline))
        await scene.world.start_gateway()
        given_up = await scene.final(reply.json["dataRequestId"])
    assert (given_up["status"], given_up["mayRetry"]) == ("DataRequestRejected", True)
    assert given_up["rejectReasonDetail"] == "PENDING_ON_CHAIN"
    assert await scene.used(permission) == 0
    await scene.world.control.faults("none")
    assert (await scene.ask(permission, document, wait_seconds=10)).status == 200


async def test_at_the_deadline_the_use_is_given_back_and_asking_again_works(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission(max_uses=1)
    async with configured(scene.world, {"exchange": {"deadline_seconds": 1}}):
        await scene.world.control.faults("outage")
        reply = await scene.ask(permission, document)
        refused = await scene.ask(permission, document)
        assert (refused.status, refused.code) == (403, "CONSENT_CONSUMED")

        given_up = await scene.final(reply.json["dataRequestId"])
        assert given_up["status"] == "DataRequestRejected"
        assert given_up["rejectReasonCode"] == "DataRequestRejectReasonOthers"
        assert (given_up["rejectReasonDetail"], given_up["mayRetry"]) == ("REGISTRY_UNAVAILABLE", True)
        assert "responseList" not in given_up
        consent = await scene.consent(permission)
        assert (consent["status"], consent["usage"]["used"]) == ("ConsentValid", 0)

    await scene.world.control.faults("none")
    again = await scene.ask(permission, document, wait_seconds=10)
    assert (again.status, _verification(again.json)) == (200, ("MATCH", None))
    assert again.json["dataRequestId"] != reply.json["dataRequestId"]
    assert (await scene.consent(permission))["status"] == "ConsentConsumed"
    refused_entries = [entry for entry in scene.audited() if entry.get("request") == reply.json["dataRequestId"]]
    assert [entry["type"] for entry in refused_entries] == ["verification.intended", "verification.refused"]
    assert refused_entries[-1]["reason"] == "REGISTRY_UNAVAILABLE"


async def test_the_breaker_opens_shows_itself_and_closes(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission()
    async with configured(scene.world, {"platform": {"breaker": {"failures_max": 3, "open_seconds": 2}}}):
        assert await eventually(_metric_is(scene, 0))
        await scene.world.control.faults("outage")
        reply = await scene.ask(permission, document)
        assert await eventually(_metric_is(scene, 1))
        assert _verification(await scene.judged(reply.json["dataRequestId"]))[1] == "REGISTRY_UNAVAILABLE"
        assert (await scene.ops("/readyz"))[0] == 200  # its own health is another matter

        await scene.world.control.faults("none")
        assert _verification(await scene.final(reply.json["dataRequestId"])) == ("MATCH", None)
        assert await eventually(_metric_is(scene, 0))


async def test_evidence_that_is_not_on_chain_yet_matches_after_the_block(scene: Scene) -> None:
    document, permission = await scene.issued(anchored=False), await scene.permission()
    reply = await scene.ask(permission, document, wait_seconds=1)
    assert (reply.status, _verification(reply.json)) == (202, ("INDETERMINATE", "PENDING_ON_CHAIN"))
    block = (await scene.world.control.make_block())["block"]
    final = await scene.final(reply.json["dataRequestId"])
    assert _verification(final) == ("MATCH", None)
    assert final["verification"]["evidence"]["chain"]["blockNumber"] == block["number"]


async def test_a_bank_waits_as_long_as_it_prefers(scene: Scene) -> None:
    document, permission = await scene.issued(), await scene.permission()
    slow = {"platform": {"attempt_seconds": 8, "deadline_seconds": 9}, "exchange": {"lease_seconds": 15}}
    async with configured(scene.world, slow):
        await scene.world.control.faults("delay", delay_seconds=2.5, count=1)
        reply = await scene.ask(permission, document, wait_seconds=1)
        assert (reply.status, reply.json["status"]) == (202, "PENDING")
        assert "verification" not in reply.json
        later = await scene.bank.data_request(reply.json["dataRequestId"], token=scene.token, wait_seconds=20)
        assert (later.status, _verification(later.json)) == (200, ("MATCH", None))
    assert len(await scene.journalled(document)) == 1


def _verification(data_request: dict[str, Any]) -> tuple[str, str | None]:
    verification = data_request["verification"]
    return verification["outcome"], verification.get("reason")


def _metric_is(scene: Scene, value: float) -> Callable[[], Any]:
    async def look() -> bool:
        return await scene.metric(BREAKER) == value

    return look


async def _asked(scene: Scene, document: Issued) -> bool:
    return bool(await scene.journalled(document))


async def _past(scene: Scene, time: float) -> bool:
    return scene.world.clock.now() > time


async def _assert_asked_and_counted_once(
    scene: Scene, permission: Permission, document: Issued, final: dict[str, Any]
) -> None:
    """One request at the platform, one use, one outcome in the log; the intent stands there at least once."""
    assert len({entry["requestId"] for entry in await scene.journalled(document)}) == 1
    assert await scene.used(permission) == 1
    types = [entry["type"] for entry in scene.audited() if entry.get("request") == final["dataRequestId"]]
    assert types[0] == "verification.intended"
    assert types.count("verification.decided") == 1

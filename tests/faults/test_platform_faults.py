"""Whatever the platform does wrong, nobody gets a wrong verdict: the true one, none yet, or an alarm about evidence.

Each way of failing meets four documents: a genuine one by voucher and one by digest alone, a changed one that is shown
with a voucher, and one that nobody registered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from adapters.sandbox.faults import Mode
from tests.live_sandbox import Issued, Scene, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRUTH = ("MATCH", "MATCH", "MISMATCH", "NOT_REGISTERED")
NAMES = ("genuine by voucher", "genuine by digest", "changed", "unregistered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is said while the fault lasts: reasons are INDETERMINATE, outcomes final."""

    said: tuple[str, str, str, str]
    alarm: bool = False
    delay_seconds: float = 0


def nothing(reason: str, *, alarm: bool = False, delay_seconds: float = 0) -> Expected:
    return Expected(said=(reason,) * 4, alarm=alarm, delay_seconds=delay_seconds)


UNAVAILABLE = nothing("REGISTRY_UNAVAILABLE")
UNTRUSTED = nothing("ANSWER_UNTRUSTED", alarm=True)
# An absence has no evidence that could be falsified: it stays what it is.
BROKEN_EVIDENCE = Expected(said=("SIGNATURE_INVALID",) * 3 + ("NOT_REGISTERED",), alarm=True)

TABLE = {
    Mode.NONE: Expected(said=TRUTH),
    Mode.DELAY: nothing("TIMEOUT", delay_seconds=20),
    Mode.OUTAGE: UNAVAILABLE,
    Mode.HTTP_500: UNAVAILABLE,
    Mode.CLOSE: UNAVAILABLE,
    Mode.TRUNCATED: UNAVAILABLE,
    Mode.GARBAGE: UNTRUSTED,
    Mode.WRONG_SIGNATURE: UNTRUSTED,
    Mode.STALE_ANSWER: UNTRUSTED,
    Mode.REPLAYED_ANSWER: UNTRUSTED,
    Mode.WRONG_REFERENCE: UNTRUSTED,
    Mode.DUPLICATE: UNTRUSTED,
    Mode.UNKNOWN_SENDER: UNTRUSTED,
    Mode.WRONG_REQUEST: UNTRUSTED,
    Mode.BARE_MATCH: UNTRUSTED,
    # Asked by digest alone, evidence of another digest is a contradiction; by voucher it is one that does not hold.
    Mode.WRONG_DIGEST: Expected(
        said=("SIGNATURE_INVALID", "ANSWER_UNTRUSTED", "SIGNATURE_INVALID", "NOT_REGISTERED"), alarm=True
    ),
    Mode.WRONG_ISSUER_SIGNATURE: BROKEN_EVIDENCE,
    Mode.WRONG_CHAIN_PROOF: BROKEN_EVIDENCE,
    Mode.ACK: nothing("PENDING_ON_CHAIN"),
    Mode.SOURCE_UNAVAILABLE: nothing("SOURCE_UNAVAILABLE"),
}


async def test_every_way_of_failing_has_its_row() -> None:
    assert set(TABLE) == set(Mode)


@pytest.mark.parametrize("mode", list(Mode))
async def test_no_fault_of_the_platform_becomes_a_wrong_verdict(scene: Scene, mode: Mode) -> None:
    expected = TABLE[mode]
    documents = await _documents(scene)
    permission = await scene.permission(max_uses=10)
    honest = await scene.ask(permission, await scene.issued(), wait_seconds=10)  # for the modes that repeat an answer
    assert honest.json["verification"]["outcome"] == "MATCH"

    await scene.world.control.faults(mode.value, delay_seconds=expected.delay_seconds)
    asked = await asyncio.gather(*(scene.ask(permission, document) for document in documents))
    ids = [reply.json["dataRequestId"] for reply in asked]
    judged = await asyncio.gather(*(scene.judged(one) for one in ids))
    assert _said(judged) == dict(zip(NAMES, expected.said, strict=True))
    for one in judged:
        open_ = one["verification"]["outcome"] == "INDETERMINATE"
        assert one["status"] == ("DataRequestApproved" if open_ else "DataRequestDataShared")

    await scene.world.control.faults("none")
    final = await asyncio.gather(*(scene.final(one) for one in ids))
    said = [word if word in {"SIGNATURE_INVALID", "NOT_REGISTERED"} else None for word in expected.said]
    assert _said(final) == dict(zip(NAMES, (a or b for a, b in zip(said, TRUTH, strict=True)), strict=True))
    assert await scene.used(permission) == 5

    await _assert_one_request_id_each(scene, documents, expected)
    _assert_alarms(scene, dict(zip(ids, expected.said, strict=True)), alarm=expected.alarm)


async def test_wrong_mode_twice_is_still_no_verdict(scene: Scene) -> None:
    """One lie after the other, on one request: each of them leaves it open."""
    document, permission = await scene.issued(), await scene.permission()
    await scene.world.control.faults("wrong_signature")
    reply = await scene.ask(permission, document)
    for mode, reason in (("wrong_signature", "ANSWER_UNTRUSTED"), ("outage", "REGISTRY_UNAVAILABLE")):
        await scene.world.control.faults(mode)
        await _reason(scene, reply.json["dataRequestId"], reason)
    await scene.world.control.faults("none")
    assert (await scene.final(reply.json["dataRequestId"]))["verification"]["outcome"] == "MATCH"


async def test_one_bad_answer_is_made_good_within_the_wait(scene: Scene) -> None:
    """A bank that waits does not even notice a platform that fails once."""
    document, permission = await scene.issued(), await scene.permission()
    await scene.world.control.faults("close", count=1)
    reply = await scene.ask(permission, document, wait_seconds=10)
    assert (reply.status, reply.json["verification"]["outcome"]) == (200, "MATCH")
    assert [entry["fault"] for entry in await scene.journalled(document)] == ["close", "none"]


async def _documents(scene: Scene) -> list[Issued]:
    by_digest = await scene.issued()
    return [
        await scene.issued(),
        Issued(content=by_digest.content),
        (await scene.issued()).changed(),
        scene.unregistered(),
    ]


def _said(requests: list[dict[str, object]]) -> dict[str, str]:
    words = []
    for one in requests:
        verification = one["verification"]
        assert isinstance(verification, dict)
        outcome = verification["outcome"]
        words.append(verification["reason"] if outcome == "INDETERMINATE" else outcome)
    return dict(zip(NAMES, words, strict=True))


async def _reason(scene: Scene, request_id: str, reason: str) -> None:
    async def look() -> bool:
        return (await scene.judged(request_id))["verification"].get("reason") == reason

    assert await eventually(look)


async def _assert_one_request_id_each(scene: Scene, documents: list[Issued], expected: Expected) -> None:
    """However often it was asked, the platform saw one request: it cannot count one question twice."""
    seen = set()
    for document, said in zip(documents, expected.said, strict=True):
        entries = await scene.journalled(document)
        assert len({entry["requestId"] for entry in entries}) == 1
        assert len({entry["messageId"] for entry in entries}) == len(entries)
        decided_at_once = said in {*TRUTH, "SIGNATURE_INVALID"}
        assert len(entries) == 1 if decided_at_once else len(entries) >= 2
        seen.add(entries[0]["requestId"])
    assert len(seen) == len(documents)


def _assert_alarms(scene: Scene, said: dict[str, str], *, alarm: bool) -> None:
    raised = {(line["exchange"], line["reason"]) for line in scene.logged("verification.alarm")}
    due = {(one, word) for one, word in said.items() if word in {"ANSWER_UNTRUSTED", "SIGNATURE_INVALID"}}
    assert bool(due) is alarm
    assert {(one, word) for one, word in raised if one in said} == due

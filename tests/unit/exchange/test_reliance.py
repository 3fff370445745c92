"""A revocation and a delivery that cross each other: the bank is told, and told once."""

from __future__ import annotations

from gateway.core.verification import Question
from gateway.exchange.reliance import Reliance
from tests.fakes_flows import ENOUGH, World, match


async def told(world: World) -> list[str | None]:
    return [notice.exchange_id for notice in await world.told() if notice.type == "EVIDENCE_REVOKED"]


async def test_a_delivery_before_the_revocation_is_found(world: World) -> None:
    exchange = await world.ask(await world.consent(), wait_seconds=ENOUGH)
    assert await told(world) == []
    assert await world.reliance.revoked("evidence-1") == 1
    assert await told(world) == [exchange.exchange_id]


async def test_a_revocation_that_overtakes_the_answer_is_told_behind_the_delivery(world: World) -> None:
    async def revoke(_question: Question) -> None:
        assert await world.reliance.revoked("evidence-1") == 0

    world.platform.during = revoke
    exchange = await world.ask(await world.consent(), wait_seconds=ENOUGH)
    assert exchange.verdict is not None
    assert await told(world) == [exchange.exchange_id]


async def test_a_revocation_between_outcome_and_delivery_is_told_too(world: World) -> None:
    async def revoke(_records: object) -> None:
        if (await world.types())[-1] == "verification.decided":
            await world.reliance.revoked("evidence-1")

    world.audit.after = revoke
    exchange = await world.ask(await world.consent(max_uses=2), wait_seconds=ENOUGH)
    assert await told(world) == [exchange.exchange_id]


async def test_other_evidence_is_not_told_of(world: World) -> None:
    await world.reliance.revoked("evidence-1")
    world.platform.answer = match("evidence-2")
    await world.ask(await world.consent(), wait_seconds=ENOUGH)
    assert await told(world) == []


async def test_what_is_remembered_is_bounded_and_the_oldest_goes(world: World) -> None:
    small = Reliance(exchanges=world.store, notices=world.store, clock=world.clock, remembered_max=1)
    for evidence_id in ("evidence-1", "evidence-2"):
        await small.revoked(evidence_id)
    for evidence_id in ("evidence-1", "evidence-2"):
        world.platform.answer = match(evidence_id)
        await world.ask(await world.consent(), wait_seconds=ENOUGH)
        await small.delivered(evidence_id)
    assert [notice.evidence_id for notice in await world.told() if notice.type == "EVIDENCE_REVOKED"] == ["evidence-2"]

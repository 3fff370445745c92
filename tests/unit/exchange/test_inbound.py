"""Evidence that is revoked: each bank that relied on it hears of it once, whatever is repeated."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.consent import Grant
from gateway.core.model import Exchange
from gateway.errors import AuditUnavailable, ReplayDetected
from gateway.exchange.inbound import Revocation
from tests import samples
from tests.fakes_flows import ENOUGH, OTHER_BANK, SILENCE, World, match, request
from tests.samples import BANK, NOW


def revocation(message_id: str = "message-1", evidence_id: str = "evidence-1") -> Revocation:
    return Revocation(message_id=message_id, expires_at=NOW + 300, evidence_id=evidence_id, revoked_at=NOW)


async def relying(world: World, owner: str = BANK) -> Exchange:
    consent = await world.consent(consumer_id=owner, max_uses=9)
    return await world.verifications.ask(
        world.caller(Grant(consent_id=consent.consent_id), owner=owner),
        request(consent),
        samples.idempotency(),
        wait_seconds=ENOUGH,
    )


async def told(world: World, owner: str = BANK) -> list[str | None]:
    return [notice.exchange_id for notice in await world.told(owner) if notice.type == "EVIDENCE_REVOKED"]


async def revoke(world: World, message: Revocation | None = None) -> int:
    return await world.inbound.evidence_revoked(world.admitted_platform(), message or revocation())


async def test_every_bank_that_relied_on_it_is_told(world: World) -> None:
    first, second = await relying(world), await relying(world)
    other = await relying(world, OTHER_BANK)
    assert await revoke(world) == 3
    assert sorted(filter(None, await told(world))) == sorted([first.exchange_id, second.exchange_id])
    assert await told(world, OTHER_BANK) == [other.exchange_id]
    entry = (await world.entries())[-1]
    assert (entry["type"], entry["evidence"]) == ("evidence.revoked", "evidence-1")
    assert entry["actor"]["role"] == "platform"


async def test_a_received_file_counts_as_relied_on(world: World) -> None:
    exchange = await relying(world)
    assert exchange.report is not None
    await world.data_requests.receive(
        world.caller(), exchange.exchange_id, file_hash=exchange.report.sha256, response_id=None
    )
    assert await revoke(world) == 1


async def test_other_evidence_and_undelivered_outcomes_are_left_out(world: World) -> None:
    world.platform.script.extend([match("evidence-2"), SILENCE])
    await relying(world)
    pending = await world.consent()
    await world.settled(await world.ask(pending))
    assert await revoke(world) == 0
    assert await told(world) == []
    assert (await world.entries())[-1]["type"] == "evidence.revoked"


async def test_the_same_message_again_is_a_replay(world: World) -> None:
    await relying(world)
    await revoke(world)
    with pytest.raises(ReplayDetected):
        await revoke(world)
    assert len(await told(world)) == 1


async def test_the_same_revocation_in_another_message_tells_nobody_again(world: World) -> None:
    await relying(world)
    assert await revoke(world) == 1
    assert await revoke(world, revocation("message-2")) == 0
    assert len(await told(world)) == 1


async def test_two_messages_at_once_tell_once(world: World) -> None:
    await relying(world)
    counts = await asyncio.gather(*(revoke(world, revocation(f"message-{number}")) for number in range(5)))
    assert sum(counts) == 1
    assert len(await told(world)) == 1


async def test_more_than_a_page_is_told_completely(world: World) -> None:
    exchanges = []
    for _ in range(7):
        exchanges += await asyncio.gather(*(relying(world) for _ in range(30)))
    assert await revoke(world) == 210
    assert sorted(filter(None, await told(world))) == sorted(exchange.exchange_id for exchange in exchanges)


async def test_without_audit_log_the_message_is_not_taken_and_may_come_again(world: World) -> None:
    await relying(world)
    world.audit.dead = True
    with pytest.raises(AuditUnavailable):
        await revoke(world)
    assert await told(world) == []
    world.audit.dead = False
    assert await revoke(world) == 1

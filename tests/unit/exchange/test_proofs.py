"""The proof of an outcome's record: for its own bank, once a checkpoint covers it, and never of another record."""

from __future__ import annotations

import asyncio

import pytest

from gateway.audit import proof
from gateway.core.merkle import leaf_hash
from gateway.core.model import Exchange, Logged
from gateway.errors import NotFound, StateConflict
from gateway.exchange import proofs
from gateway.exchange.proofs import Pending
from tests.fakes_edge import until
from tests.fakes_flows import ENOUGH, OTHER_BANK, SILENCE, World


async def shared(world: World) -> Exchange:
    return await world.ask(await world.consent(max_uses=2), wait_seconds=ENOUGH)


def logged(exchange: Exchange) -> Logged:
    assert exchange.receipt is not None
    return exchange.receipt.logged


async def publish(world: World) -> None:
    world.publication.publish([stored.leaf_hash async for stored in world.log.read()])


async def test_the_proof_leads_from_the_receipts_record_to_the_checkpoint(world: World) -> None:
    exchange = await shared(world)
    await publish(world)
    text = await world.proofs.of(world.caller(), exchange.exchange_id, wait_seconds=0)
    assert isinstance(text, str)
    found = proof.parse(text)
    head = proof.verify(found, logged(exchange).leaf_hash, origin=None, keys=[world.publication.key])
    assert (found.index, head.size) == (logged(exchange).index, 2)


async def test_before_a_checkpoint_covers_it_the_proof_is_pending(world: World) -> None:
    exchange = await shared(world)
    world.publication.publish([leaf_hash(b"first")])
    found = await world.proofs.of(world.caller(), exchange.exchange_id, wait_seconds=0)
    assert found == Pending(exchange=exchange, logged=logged(exchange), covered=1)
    assert world.publication.waited == []


async def test_one_that_waits_gets_the_proof_with_the_checkpoint(world: World) -> None:
    exchange = await shared(world)
    async with asyncio.TaskGroup() as clients:
        asked = clients.create_task(
            world.proofs.of(world.caller(), exchange.exchange_id, wait_seconds=proofs.LOOK_SECONDS * 30)
        )
        await until(lambda: bool(world.publication.waited))
        await publish(world)
    assert isinstance(asked.result(), str)


async def test_a_wait_ends_when_its_time_is_up(world: World) -> None:
    exchange = await shared(world)
    assert not await world.proofs.covered(exchange, 0.001)
    assert world.publication.waited == [0.001]


async def test_a_process_that_ends_keeps_nobody_waiting(world: World) -> None:
    exchange = await shared(world)
    world.proofs.end_waits()
    assert not await world.proofs.covered(exchange, 3_600)
    assert world.publication.waited == []


async def test_what_has_no_outcome_has_no_proof_and_is_not_waited_for(world: World) -> None:
    world.platform.answer = SILENCE
    exchange = await world.settled(await world.ask(await world.consent()))
    with pytest.raises(StateConflict):
        await world.proofs.of(world.caller(), exchange.exchange_id, wait_seconds=ENOUGH)
    assert await world.proofs.covered(exchange, ENOUGH)
    assert world.publication.waited == []


async def test_another_banks_proof_does_not_show(world: World) -> None:
    exchange = await shared(world)
    await publish(world)
    for identity in (exchange.exchange_id, "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(NotFound):
            await world.proofs.of(world.caller(owner=OTHER_BANK), identity, wait_seconds=ENOUGH)


async def test_a_log_that_lost_the_record_proves_nothing_in_its_place(world: World) -> None:
    exchange = await shared(world)
    world.publication.publish([leaf_hash(b"other %d" % number) for number in range(5)])
    with pytest.raises(StateConflict):
        await world.proofs.of(world.caller(), exchange.exchange_id, wait_seconds=0)

"""What a bank does with its data requests, and only with its own."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.model import Exchange, ExchangeStatus
from gateway.errors import AuditUnavailable, NotFound, StateConflict
from gateway.exchange.admission import Caller
from gateway.exchange.statements import REPORT_NAME
from tests.fakes_flows import ENOUGH, OTHER_BANK, SILENCE, Gate, World


async def shared(world: World) -> Exchange:
    return await world.ask(await world.consent(max_uses=2), wait_seconds=ENOUGH)


async def still_open(world: World) -> Exchange:
    world.platform.answer = SILENCE
    return await world.settled(await world.ask(await world.consent(max_uses=2)))


async def receive(world: World, exchange: Exchange, **changes: str) -> Exchange:
    assert exchange.report is not None
    return await world.data_requests.receive(
        world.caller(),
        exchange.exchange_id,
        file_hash=changes.get("file_hash", exchange.report.sha256),
        response_id=changes.get("response_id"),
    )


class TestReading:
    async def test_one_that_waits_is_woken_by_the_answer(self, world: World) -> None:
        gate = Gate()
        world.platform.during = gate
        exchange = await world.ask(await world.consent())
        await gate.reached.wait()
        async with asyncio.TaskGroup() as clients:
            waiting = [
                clients.create_task(world.data_requests.read(world.caller(), exchange.exchange_id, wait_seconds=ENOUGH))
                for _ in range(3)
            ]
            gate.opened.set()
        assert {task.result().status for task in waiting} == {ExchangeStatus.SHARED}

    async def test_a_final_one_is_not_waited_for(self, world: World) -> None:
        exchange = await shared(world)
        assert await world.data_requests.read(world.caller(), exchange.exchange_id, wait_seconds=ENOUGH) == exchange

    async def test_pages_are_in_order_and_by_status(self, world: World) -> None:
        first, second = await shared(world), await still_open(world)
        caller = world.caller()
        page = await world.data_requests.page(caller, status=None, after=None, limit=1)
        rest = await world.data_requests.page(caller, status=None, after=page[-1].exchange_id, limit=1)
        assert {item.exchange_id for item in (*page, *rest)} == {first.exchange_id, second.exchange_id}
        opened = await world.data_requests.page(caller, status=ExchangeStatus.APPROVED, after=None, limit=5)
        assert [item.exchange_id for item in opened] == [second.exchange_id]

    async def test_the_report_is_had_by_its_name_alone(self, world: World) -> None:
        exchange = await shared(world)
        report = await world.data_requests.file(world.caller(), exchange.exchange_id, REPORT_NAME)
        assert report == exchange.report
        with pytest.raises(NotFound):
            await world.data_requests.file(world.caller(), exchange.exchange_id, "another.jws")
        with pytest.raises(NotFound):
            await world.data_requests.file(world.caller(), (await still_open(world)).exchange_id, REPORT_NAME)

    async def test_another_banks_data_request_does_not_show(self, world: World) -> None:
        exchange = await shared(world)
        assert exchange.report is not None
        stranger: Caller = world.caller(owner=OTHER_BANK)
        flows, identity, report = world.data_requests, exchange.exchange_id, exchange.report
        for call in (
            flows.read(stranger, identity),
            flows.file(stranger, identity, REPORT_NAME),
            flows.receive(stranger, identity, file_hash=report.sha256, response_id=None),
            flows.cancel(stranger, identity),
            flows.read(world.caller(), "no-such-exchange"),
        ):
            with pytest.raises(NotFound):
                await call
        assert await flows.page(stranger, status=None, after=None, limit=5) == []
        assert await world.saved(exchange) == exchange


class TestReception:
    async def test_the_file_is_acknowledged_by_its_hash(self, world: World) -> None:
        exchange = await shared(world)
        assert exchange.response_id is not None
        received = await receive(world, exchange, response_id=exchange.response_id)
        assert received.status is ExchangeStatus.RECEIVED
        entry = (await world.entries())[-1]
        assert (entry["type"], entry["request"], entry["outcome"]) == (
            "verification.received",
            exchange.exchange_id,
            "MATCH",
        )

    async def test_repeating_it_changes_nothing_also_at_once(self, world: World) -> None:
        exchange = await shared(world)
        both = await asyncio.gather(receive(world, exchange), receive(world, exchange))
        assert both[0] == both[1] == await receive(world, exchange)
        assert (await world.types()).count("verification.received") == 1

    async def test_another_hash_or_response_acknowledges_nothing(self, world: World) -> None:
        exchange = await shared(world)
        for wrong in ({"file_hash": "0" * 64}, {"response_id": "another"}):
            with pytest.raises(StateConflict):
                await receive(world, exchange, **wrong)
        assert await world.saved(exchange) == exchange

    async def test_nothing_shared_is_nothing_to_acknowledge(self, world: World) -> None:
        exchange = await still_open(world)
        with pytest.raises(StateConflict):
            await world.data_requests.receive(
                world.caller(), exchange.exchange_id, file_hash="0" * 64, response_id=None
            )

    async def test_without_audit_log_nothing_is_acknowledged(self, world: World) -> None:
        exchange = await shared(world)
        world.audit.dead = True
        with pytest.raises(AuditUnavailable):
            await receive(world, exchange)
        assert await world.saved(exchange) == exchange


class TestCancellation:
    async def test_an_open_one_is_taken_back_and_its_use_given_back(self, world: World) -> None:
        exchange = await still_open(world)
        cancelled = await world.data_requests.cancel(world.caller(), exchange.exchange_id)
        assert cancelled.status is ExchangeStatus.CANCELLED
        consent = await world.store.consent(exchange.consent_id)
        assert consent is not None
        assert (consent.reserved, consent.used) == (0, 0)
        entry = (await world.entries())[-1]
        assert (entry["type"], entry["reason"]) == ("verification.refused", "CANCELLED")

    async def test_repeating_it_gives_the_use_back_once(self, world: World) -> None:
        exchange = await still_open(world)
        for _ in range(2):
            await world.data_requests.cancel(world.caller(), exchange.exchange_id)
        consent = await world.store.consent(exchange.consent_id)
        assert consent is not None
        assert consent.reserved == 0
        assert (await world.types()).count("verification.refused") == 1

    async def test_the_worker_leaves_a_cancelled_one_alone(self, world: World) -> None:
        exchange = await still_open(world)
        await world.data_requests.cancel(world.caller(), exchange.exchange_id)
        world.clock.advance(700)
        assert await world.verifications.resume_due(10) == 0

    async def test_a_shared_one_is_not_taken_back(self, world: World) -> None:
        exchange = await shared(world)
        with pytest.raises(StateConflict):
            await world.data_requests.cancel(world.caller(), exchange.exchange_id)
        assert await world.saved(exchange) == exchange

    async def test_a_cancellation_and_an_answer_at_once_leave_one_of_them(self, world: World) -> None:
        gate = Gate()
        world.platform.during = gate
        consent = await world.consent(max_uses=2)
        exchange = await world.ask(consent)
        await gate.reached.wait()
        gate.opened.set()
        (cancelled,) = await asyncio.gather(
            world.data_requests.cancel(world.caller(), exchange.exchange_id), return_exceptions=True
        )
        exchange = await world.settled(exchange)
        if isinstance(cancelled, StateConflict):
            assert (exchange.status, await world.uses(consent)) == (ExchangeStatus.SHARED, (0, 1))
        else:
            assert (exchange.status, await world.uses(consent)) == (ExchangeStatus.CANCELLED, (0, 0))

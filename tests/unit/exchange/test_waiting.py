"""Waiting for a final exchange: woken here, looked for elsewhere, never longer than told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gateway.core.model import Exchange, ExchangeStatus
from gateway.exchange.waiting import Waiting
from gateway.ports import ExchangeStep
from tests.fakes_flows import ENOUGH, SILENCE, World


async def still_open(world: World) -> Exchange:
    world.platform.answer = SILENCE
    return await world.settled(await world.ask(await world.consent()))


async def end(world: World, exchange: Exchange) -> None:
    """As another process would."""
    await world.store.advance(
        exchange, lambda _: ExchangeStep(exchange=replace(exchange, status=ExchangeStatus.CANCELLED))
    )


async def test_a_step_of_this_process_wakes_all_that_wait_for_it(world: World) -> None:
    waiting = Waiting(store=world.store, clock=world.clock, look_seconds=10 * ENOUGH)
    exchange = await still_open(world)
    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(waiting.final(exchange, 1_000)) for _ in range(3)]
        await end(world, exchange)
        waiting.wake(exchange.exchange_id)
    assert {task.result().status for task in found} == {ExchangeStatus.CANCELLED}


async def test_a_step_of_another_process_is_seen_at_the_next_look(world: World) -> None:
    waiting = Waiting(store=world.store, clock=world.clock, look_seconds=0.01)
    exchange = await still_open(world)
    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as tasks:
        found = tasks.create_task(waiting.final(exchange, 1_000))
        await end(world, exchange)
    assert found.result().status is ExchangeStatus.CANCELLED


async def test_a_wake_that_changed_nothing_goes_on_waiting_until_the_time_is_up(world: World) -> None:
    waiting = Waiting(store=world.store, clock=world.clock, look_seconds=0.01)
    exchange = await still_open(world)
    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as tasks:
        found = tasks.create_task(waiting.final(exchange, 5))
        await world.saved(exchange)  # a look of our own: by then it waits
        waiting.wake(exchange.exchange_id)
        await world.saved(exchange)
        assert not found.done()
        world.clock.advance(5)
    assert found.result().status is ExchangeStatus.APPROVED


async def test_nobody_is_woken_where_nobody_waits(world: World) -> None:
    waiting = Waiting(store=world.store, clock=world.clock)
    exchange = await still_open(world)
    waiting.wake(exchange.exchange_id)
    assert await waiting.final(exchange, 0) == exchange


async def test_the_end_of_the_process_ends_all_waits(world: World) -> None:
    waiting = Waiting(store=world.store, clock=world.clock, look_seconds=10 * ENOUGH)
    exchange = await still_open(world)
    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(waiting.final(exchange, 1_000)) for _ in range(3)]
        await world.saved(exchange)
        waiting.end()
        found.append(tasks.create_task(waiting.final(exchange, 1_000)))
    assert {task.result().status for task in found} == {ExchangeStatus.APPROVED}

"""A step is saved once, with its record in the log; who comes second gets what the first has decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.model import Consent, Exchange, ExchangeStatus
from gateway.errors import AuditUnavailable, ConsentNotFound
from gateway.exchange import steps
from gateway.exchange.advancing import Advancing
from gateway.ports import ExchangeStep
from tests.fakes_flows import SILENCE, World


async def waiting(world: World) -> Exchange:
    world.platform.answer = SILENCE
    return await world.settled(await world.ask(await world.consent()))


async def test_a_step_is_saved_with_its_record_in_the_log(world: World) -> None:
    exchange = await waiting(world)
    now = world.clock.now()
    saved = await Advancing(world.store, world.recorder).save(
        exchange, lambda consent: steps.not_served(exchange, consent, now)
    )
    assert saved == await world.saved(exchange)
    assert saved.status is ExchangeStatus.REJECTED
    assert (await world.types())[-1] == "verification.refused"


async def test_the_second_of_two_steps_gets_what_the_first_left(world: World) -> None:
    exchange = await waiting(world)
    advancing, now = Advancing(world.store, world.recorder), world.clock.now()
    first = await advancing.save(exchange, lambda consent: steps.not_served(exchange, consent, now))

    def late(_consent: Consent | None) -> ExchangeStep:
        return ExchangeStep(exchange=replace(exchange, attempts=99))

    assert await advancing.save(exchange, late) == first


async def test_a_refused_step_leaves_the_exchange_as_it_was(world: World) -> None:
    exchange = await waiting(world)

    def refuse(_consent: Consent | None) -> ExchangeStep:
        raise ConsentNotFound()

    with pytest.raises(ConsentNotFound):
        await Advancing(world.store, world.recorder).save(exchange, refuse)
    assert await world.saved(exchange) == exchange


async def test_a_record_that_the_log_does_not_take_waits_with_its_step(world: World) -> None:
    exchange = await waiting(world)
    now = world.clock.now()
    world.audit.refuses = 1
    with pytest.raises(AuditUnavailable):
        await Advancing(world.store, world.recorder).save(
            exchange, lambda consent: steps.not_served(exchange, consent, now)
        )
    assert (await world.saved(exchange)).status is ExchangeStatus.REJECTED
    assert await world.recorder.flush() == 1
    assert (await world.types())[-1] == "verification.refused"

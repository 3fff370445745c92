"""What goes on without being asked, round after round, whatever fails."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.model import ConsentStatus, ExchangeStatus
from gateway.errors import AuditUnavailable
from gateway.exchange.worker import REFUSALS_INTERVAL_SECONDS, SWEEP_INTERVAL_SECONDS, SWEEP_ROWS
from gateway.oauth.grant import OwnerSession
from gateway.ports import ConsentStep
from tests import samples
from tests.fakes_flows import ENOUGH, SILENCE, World
from tests.samples import BANK, NOW


async def test_a_round_looks_at_everything(world: World) -> None:
    world.platform.script.append(SILENCE)
    exchange = await world.settled(await world.ask(await world.consent()))
    expiring = await world.consent(expire_time=NOW + 60)
    await world.store.submit(
        lambda _: ConsentStep(consent=samples.consent(), records=(samples.record(type="consent.submitted"),)),
        samples.idempotency(),
    )
    world.refusals.count(BANK, "RATE_LIMITED")
    world.clock.advance(REFUSALS_INTERVAL_SECONDS)
    assert await world.worker.round() == 1
    assert (await world.settled(exchange)).status is ExchangeStatus.SHARED
    found = await world.store.consent(expiring.consent_id)
    assert found is not None
    assert found.status is ConsentStatus.EXPIRED
    types = await world.types()
    assert {"consent.submitted", "consent.expired", "admission.refused", "verification.decided"} <= set(types)
    assert await world.worker.round() == 0


async def test_refusals_become_one_record_for_each_kind_and_not_before_their_time(world: World) -> None:
    for participant, code in ((BANK, "RATE_LIMITED"), (BANK, "RATE_LIMITED"), ("UNKNOWN", "CERT_UNKNOWN")):
        world.refusals.count(participant, code)
    await world.worker.round()
    assert await world.entries() == []
    world.clock.advance(REFUSALS_INTERVAL_SECONDS)
    await world.worker.round()
    assert [
        (entry["type"], entry["actor"]["participant"], entry["actor"]["role"], entry["reason"], entry["count"])
        for entry in await world.entries()
    ] == [
        ("admission.refused", BANK, "participant", "RATE_LIMITED", 2),
        ("admission.refused", "UNKNOWN", "unknown", "CERT_UNKNOWN", 1),
    ]
    world.clock.advance(REFUSALS_INTERVAL_SECONDS)
    await world.worker.round()
    assert len(await world.entries()) == 2


async def test_counts_that_could_not_be_written_are_written_later(world: World) -> None:
    world.refusals.count(BANK, "RATE_LIMITED")
    world.audit.refuses = 1
    with pytest.raises(AuditUnavailable):
        await world.worker.write_refusals()
    world.refusals.count(BANK, "RATE_LIMITED")
    await world.worker.write_refusals()
    assert [entry["count"] for entry in await world.entries()] == [2]


async def test_one_failing_round_does_not_end_the_loop(world: World) -> None:
    await world.store.submit(
        lambda _: ConsentStep(consent=samples.consent(), records=(samples.record(),)), samples.idempotency()
    )
    world.audit.refuses = 2
    stop, recovered = asyncio.Event(), asyncio.Event()

    async def tell(_records: object) -> None:
        recovered.set()

    world.audit.after = tell
    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as tasks:
        tasks.create_task(world.worker.run(stop))
        await recovered.wait()
        stop.set()
    assert [type(error) for error in world.worker_failures] == [AuditUnavailable] * 2
    assert await world.store.waiting(limit=1) == []


async def test_a_chore_that_fails_keeps_nothing_else_from_being_done(world: World) -> None:
    world.platform.answer = SILENCE
    waiting = await world.settled(await world.ask(await world.consent()))
    await world.store.submit(
        lambda _: ConsentStep(consent=samples.consent(), records=(samples.record(),)), samples.idempotency()
    )
    world.clock.advance(5)
    world.audit.refuses = 1
    assert await world.worker.round() == 1
    assert [type(error) for error in world.worker_failures] == [AuditUnavailable]
    assert (await world.settled(waiting)).attempts == 2


async def test_it_ends_when_told_and_finishes_its_round(world: World) -> None:
    stop = asyncio.Event()
    stop.set()
    await world.worker.run(stop)
    assert world.worker_failures == []


async def test_a_full_batch_is_followed_by_the_next_at_once(world: World) -> None:
    world.platform.answer = SILENCE
    consent = await world.consent(max_uses=25)
    exchanges = [await world.ask(consent) for _ in range(25)]
    await world.settled(exchanges[-1])
    world.clock.advance(5)
    assert [await world.worker.round() for _ in range(4)] == [10, 10, 5, 0]
    await world.settled(exchanges[-1])
    assert {(await world.saved(exchange)).attempts for exchange in exchanges} == {2}


async def test_what_the_authorization_server_has_no_use_for_goes_after_an_interval(world: World) -> None:
    session = OwnerSession(
        session_hash="5" * 64, subject="b" * 64, name="a name", auth_time=NOW, acr=None, expires_at=NOW + 1
    )
    await world.state.open_session(session)
    world.clock.advance(SWEEP_INTERVAL_SECONDS - 1)
    await world.worker.round()
    assert await world.state.session(session.session_hash) == session
    world.clock.advance(1)
    await world.worker.round()
    assert await world.state.session(session.session_hash) is None


async def test_a_full_batch_of_them_is_followed_by_the_next_round_by_round(world: World) -> None:
    ids = range(SWEEP_ROWS + 1)
    await asyncio.gather(*(world.state.first_time("scope", f"id-{number}", expires_at=NOW - 60) for number in ids))
    world.clock.advance(SWEEP_INTERVAL_SECONDS)
    await world.worker.round()
    await world.worker.round()
    assert await world.state.sweep(now=world.clock.now(), limit=SWEEP_ROWS) == 0

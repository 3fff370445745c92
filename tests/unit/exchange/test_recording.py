"""Records that were committed with a change reach the log once, or again with the same id, and never not at all."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import pytest

from gateway.audit.record import Record
from gateway.core.model import Role
from gateway.errors import AuditUnavailable, UpstreamUnavailable
from gateway.exchange.recording import Recorder, actor, record
from tests import samples
from tests.fakes_flows import World, certificate, participant
from tests.samples import BANK, NOW


class ForgetfulOutbox:
    """Takes no removal while `stuck`."""

    def __init__(self, world: World) -> None:
        self._store = world.store
        self.stuck = True

    async def waiting(self, *, limit: int) -> Sequence[tuple[int, Record]]:
        return await self._store.waiting(limit=limit)

    async def remove(self, rows: Sequence[int]) -> None:
        if self.stuck:
            raise UpstreamUnavailable()
        await self._store.remove(rows)


async def leave(world: World, count: int) -> list[str]:
    """So many records in the outbox; their ids."""
    records = [samples.record(record_id=f"record-{number:05d}") for number in range(count)]
    await world.store.add_notices([], records)
    return [item.record_id for item in records]


async def ids(world: World) -> list[str]:
    return [entry["id"] for entry in await world.entries()]


async def test_what_waits_is_appended_once_in_order(world: World) -> None:
    expected = await leave(world, 1_100)
    assert await world.recorder.flush() == 1_100
    assert await world.recorder.flush() == 0
    assert await ids(world) == expected


async def test_flushes_at_once_append_once(world: World) -> None:
    expected = await leave(world, 20)
    assert sum(await asyncio.gather(*(world.recorder.flush() for _ in range(5)))) == 20
    assert await ids(world) == expected


async def test_a_removal_that_fails_appends_again_with_the_same_id(world: World) -> None:
    expected = await leave(world, 2)
    outbox = ForgetfulOutbox(world)
    recorder = Recorder(outbox, world.audit)
    with pytest.raises(UpstreamUnavailable):
        await recorder.flush()
    outbox.stuck = False
    await recorder.flush()
    assert await ids(world) == expected * 2
    assert await world.store.waiting(limit=1) == []


async def test_what_the_log_refuses_stays_where_it_is(world: World) -> None:
    expected = await leave(world, 2)
    world.audit.refuses = 1
    with pytest.raises(AuditUnavailable):
        await world.recorder.flush()
    assert await ids(world) == []
    assert await world.recorder.flush() == 2
    assert await ids(world) == expected


def test_a_record_has_a_time_ordered_id_of_its_own() -> None:
    first, second = record(NOW, "service.started"), record(NOW + 1, "service.stopped", reason="OTHER")
    assert first.record_id < second.record_id
    assert uuid.UUID(first.record_id).version == 7
    assert (second.time, second.reason) == (NOW + 1, "OTHER")


def test_an_actor_is_a_participant_with_what_it_showed() -> None:
    bank = participant(BANK, Role.BANK)
    shown = actor(bank, certificate(BANK), "client-a")
    assert (shown.participant, shown.role, shown.certificate, shown.client) == (
        BANK,
        "bank",
        certificate(BANK).sha256,
        "client-a",
    )
    assert actor(bank).certificate is None

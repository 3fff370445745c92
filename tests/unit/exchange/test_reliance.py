"""A revocation and a delivery that cross each other: the bank is told, and told once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.audit.record import Record
from gateway.core.model import Notice
from gateway.core.verification import Question
from gateway.errors import UpstreamUnavailable
from gateway.exchange.reliance import Reliance
from gateway.ports import NewNotice, NoticeStore
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


class Failing:
    """A notice store that cannot be used as often as it is told."""

    def __init__(self, store: NoticeStore, times: int) -> None:
        self._store, self._left = store, times

    async def add_notices(self, notices: Sequence[NewNotice], records: Sequence[Record] = ()) -> None:
        if self._left:
            self._left -= 1
            raise UpstreamUnavailable()
        await self._store.add_notices(notices, records)

    async def notices(self, participant_id: str, *, after: int, limit: int) -> Sequence[Notice]:
        return await self._store.notices(participant_id, after=after, limit=limit)


async def test_what_could_not_be_told_behind_a_delivery_is_told_later_and_once(world: World) -> None:
    notices = Failing(world.store, times=2)
    reliance = Reliance(exchanges=world.store, notices=notices, clock=world.clock)
    await reliance.revoked("evidence-1")
    exchange = await world.ask(await world.consent(), wait_seconds=ENOUGH)
    await reliance.delivered("evidence-1")
    with pytest.raises(UpstreamUnavailable):
        await reliance.tell_owed()
    assert await told(world) == []
    for _ in range(2):
        await reliance.tell_owed()
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

"""The notices feed: own notices behind a cursor, now or as soon as there are some."""

from __future__ import annotations

import asyncio

from gateway.ports import NewNotice
from tests.fakes_flows import ENOUGH, OTHER_BANK, World
from tests.samples import BANK, NOW


def notice(owner: str = BANK, detail: str | None = None) -> NewNotice:
    return NewNotice(participant_id=owner, type="CONSENT_VALID", time=NOW, detail=detail)


async def test_own_notices_follow_the_cursor_in_order(world: World) -> None:
    await world.store.add_notices([notice(detail="A"), notice(OTHER_BANK), notice(detail="B"), notice(detail="C")])
    caller = world.caller()
    first = await world.notices.since(caller, after=0, limit=2, wait_seconds=ENOUGH)
    rest = await world.notices.since(caller, after=first[-1].sequence, limit=2, wait_seconds=ENOUGH)
    assert [item.detail for item in (*first, *rest)] == ["A", "B", "C"]


async def test_without_a_wait_there_may_be_none(world: World) -> None:
    await world.store.add_notices([notice(OTHER_BANK)])
    assert await world.notices.since(world.caller(), after=0, limit=10, wait_seconds=0) == []


async def test_a_wait_ends_with_the_first_notice(world: World) -> None:
    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(world.notices.since(world.caller(), after=0, limit=10, wait_seconds=1_000))
        await world.store.add_notices([notice(detail="A")])
    assert [item.detail for item in waiting.result()] == ["A"]


async def test_a_wait_ends_empty_when_its_time_is_up(world: World) -> None:
    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(world.notices.since(world.caller(), after=0, limit=10, wait_seconds=5))
        await world.told()  # a look of our own: by then it waits
        world.clock.advance(5)
    assert waiting.result() == []


async def test_the_end_of_the_process_ends_a_wait(world: World) -> None:
    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(world.notices.since(world.caller(), after=0, limit=10, wait_seconds=1_000))
        await world.told()
        world.notices.end()
    assert waiting.result() == []
    assert await world.notices.since(world.caller(), after=0, limit=10, wait_seconds=1_000) == []

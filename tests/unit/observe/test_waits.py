from __future__ import annotations

import asyncio
from contextvars import copy_context

from gateway.observe import waits


async def test_what_a_requests_tasks_wait_is_its_own() -> None:
    async def request(seconds: float) -> float:
        sum_ = waits.begin()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(other(seconds))
        return sum_.seconds

    async def other(seconds: float) -> None:
        waits.add(seconds)

    assert await asyncio.gather(request(1.0), request(2.0)) == [2.0, 4.0]


def test_outside_a_request_nothing_is_summed() -> None:
    def outside() -> float:
        waits.add(1.0)
        return waits.begin().seconds

    assert copy_context().run(outside) == 0.0

"""A pause ends with its time, or at once when all is to stop."""

from __future__ import annotations

import asyncio

import pytest

from gateway.pausing import pause


async def test_a_pause_is_over_when_its_time_is_up() -> None:
    stop = asyncio.Event()
    await pause(stop, 0.0)
    assert not stop.is_set()


async def test_a_stop_ends_the_pause() -> None:
    stop = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(pause(stop, 3_600.0))
        stop.set()
    assert stop.is_set()


async def test_who_is_cancelled_in_a_pause_is_cancelled() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.0):
            await pause(asyncio.Event(), 3_600.0)

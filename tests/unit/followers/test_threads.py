"""Threads of one purpose: as many as were asked for, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gateway.followers.threads import Threads


async def test_no_more_are_at_work_than_there_are_threads() -> None:
    gate, began = threading.Event(), threading.Semaphore(0)
    at_work: list[str] = []

    def work() -> None:
        at_work.append(threading.current_thread().name)
        began.release()
        gate.wait()

    async with Threads("reads", count=2) as threads:
        asked = asyncio.gather(*(threads(work) for _ in range(5)))
        await asyncio.to_thread(began.acquire)
        await asyncio.to_thread(began.acquire)
        assert len(at_work) == len(set(at_work)) == 2
        gate.set()
        await asked
    assert len(at_work) == 5
    assert all(name.startswith("reads") for name in at_work)


async def test_results_and_errors_come_back() -> None:
    async with Threads("reads", count=1) as threads:
        assert await threads(int, "11", base=2) == 3
        with pytest.raises(ValueError, match="invalid literal"):
            await threads(int, "eleven")


async def test_at_the_end_what_is_at_work_is_finished_and_what_waits_is_cancelled() -> None:
    gate, began = threading.Event(), threading.Event()

    def work() -> int:
        began.set()
        gate.wait()
        return 1

    async with Threads("reads", count=1) as threads:
        first, second = (asyncio.ensure_future(threads(work)) for _ in range(2))
        await asyncio.to_thread(began.wait)
        ending = asyncio.ensure_future(threads.__aexit__(None, None, None))
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        assert await first == 1
        await ending

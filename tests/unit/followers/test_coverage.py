"""How old is what no checkpoint covers: never less than the truth, and nothing when all is covered."""

from __future__ import annotations

import asyncio

import pytest

from gateway.followers.coverage import Coverage
from tests.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def coverage(clock: FakeClock) -> Coverage:
    return Coverage(clock)


def test_a_log_at_rest_has_no_lag(coverage: Coverage, clock: FakeClock) -> None:
    coverage.published(5, clock.monotonic())
    clock.advance(3_600)
    assert coverage.lag_seconds() == 0


def test_the_lag_is_the_age_of_the_oldest_uncovered_entry(coverage: Coverage, clock: FakeClock) -> None:
    coverage.published(5, clock.monotonic())
    clock.advance(10)
    coverage.acknowledged(6)
    clock.advance(2)
    coverage.acknowledged(7)
    clock.advance(1)
    assert coverage.lag_seconds() == 3
    coverage.published(7, clock.monotonic())
    assert coverage.lag_seconds() == 0


def test_entries_behind_a_publication_are_as_old_as_its_look_at_most(coverage: Coverage, clock: FakeClock) -> None:
    coverage.acknowledged(1)
    clock.advance(4)
    looked = clock.monotonic()
    coverage.looked(1, looked)
    clock.advance(1)
    coverage.acknowledged(2)
    coverage.published(1, looked)
    clock.advance(1)
    assert coverage.lag_seconds() == 2


def test_entries_of_other_processes_count_since_the_look_before(coverage: Coverage, clock: FakeClock) -> None:
    coverage.published(1, clock.monotonic())
    coverage.looked(1, clock.monotonic())
    clock.advance(5)
    coverage.looked(2, clock.monotonic())
    clock.advance(1)
    assert coverage.lag_seconds() == 6


async def test_who_waits_is_woken_by_the_checkpoint_that_covers_it(coverage: Coverage, clock: FakeClock) -> None:
    waits = [asyncio.ensure_future(coverage.wait(index, timeout_seconds=30)) for index in (0, 4, 5)]
    await asyncio.sleep(0)
    coverage.published(1, clock.monotonic())
    assert await waits[0]
    coverage.published(5, clock.monotonic())
    assert await waits[1]
    assert not waits[2].done()
    waits[2].cancel()
    assert await coverage.wait(4, timeout_seconds=0)


async def test_a_wait_ends_when_its_time_is_up(coverage: Coverage) -> None:
    assert not await coverage.wait(0, timeout_seconds=0)

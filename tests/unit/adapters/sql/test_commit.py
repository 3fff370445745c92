from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError

from adapters.sql import engine as engines
from adapters.sql.commit import GroupCommit
from gateway.errors import AuditUnavailable, GatewayError, NotFound, Overloaded, UpstreamUnavailable

Insert = GroupCommit[int, int]
Opener = Callable[..., Insert]


class Table:
    """One column of unique numbers. Negative numbers are refused, 13 breaks, and each batch's size is noted."""

    def __init__(self, url: str) -> None:
        self.engine = engines.create(url)
        self.batches: list[int] = []
        with self.engine.connect() as connection, connection.begin():
            connection.execute(text("CREATE TABLE numbers (number INTEGER PRIMARY KEY)"))

    def insert(self, connection: Connection, jobs: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(len(jobs))
        return [self._insert_one(connection, number) for number in jobs]

    def _insert_one(self, connection: Connection, number: int) -> int | Exception:
        if number < 0:
            return NotFound()
        connection.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})
        if number == 666:
            raise RuntimeError("the number of the beast")
        return number

    def numbers(self) -> list[int]:
        with self.engine.connect() as connection, connection.begin():
            return list(connection.execute(text("SELECT number FROM numbers ORDER BY number")).scalars())


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(f"sqlite:///{tmp_path / 'numbers.db'}")


@pytest.fixture
async def opener(table: Table) -> AsyncIterator[Opener]:
    opened: list[Insert] = []

    def open_(**changes: Any) -> Insert:
        values: dict[str, Any] = {
            "name": "numbers",
            "queue_max": 100,
            "batch_max": 10,
            "full": Overloaded,
            "unavailable": UpstreamUnavailable,
        }
        opened.append(GroupCommit(table.engine, table.insert, **(values | changes)))
        return opened[-1]

    yield open_
    for commit in opened:
        await commit.close()


async def gather(commit: Insert, *numbers: int) -> list[int | BaseException]:
    return await asyncio.gather(*(commit.run(number) for number in numbers), return_exceptions=True)


async def test_waiting_jobs_share_transactions_of_at_most_batch_max(opener: Opener, table: Table) -> None:
    assert await gather(opener(), *range(25)) == list(range(25))
    assert table.batches == [10, 10, 5]
    assert table.numbers() == list(range(25))


async def test_weights_count_against_the_batch(opener: Opener, table: Table) -> None:
    commit = opener()
    await asyncio.gather(*(commit.run(number, weight=6) for number in range(3)))
    assert table.batches == [1, 1, 1]


async def test_a_refused_job_leaves_its_neighbours_in_the_same_transaction(opener: Opener, table: Table) -> None:
    first, refused, last = await gather(opener(), 1, -1, 2)
    assert (first, type(refused), last) == (1, NotFound, 2)
    assert table.batches == [3]


async def test_a_job_that_breaks_its_batch_fails_alone(opener: Opener, table: Table) -> None:
    commit = opener()
    outcomes = await gather(commit, 1, 666, 2)
    assert (outcomes[0], type(outcomes[1]), outcomes[2]) == (1, RuntimeError, 2)
    assert table.batches == [3, 1, 1, 1]
    assert table.numbers() == [1, 2]
    assert commit.healthy()


async def test_a_database_error_of_one_job_is_translated(opener: Opener, table: Table) -> None:
    commit = opener()
    await commit.run(1)
    outcomes = await gather(commit, 1, 2)
    assert isinstance(outcomes[0], UpstreamUnavailable)
    assert isinstance(outcomes[0].__cause__, IntegrityError)
    assert outcomes[1] == 2
    assert commit.healthy()


async def test_errors_show_no_values(opener: Opener) -> None:
    commit = opener()
    await commit.run(4_711)
    with pytest.raises(UpstreamUnavailable) as refused:
        await commit.run(4_711)
    assert "4711" not in repr(refused.value) + str(refused.value) + str(refused.value.__cause__)


async def test_the_drivers_own_errors_are_refusals_too(table: Table) -> None:
    def insert(connection: Connection, jobs: Sequence[int]) -> Sequence[int]:
        connection.connection.cursor().executemany("INSERT INTO numbers VALUES (?)", [(job,) for job in jobs])
        return jobs

    commit = Insert(
        table.engine,
        insert,
        name="numbers",
        queue_max=9,
        batch_max=9,
        full=Overloaded,
        unavailable=UpstreamUnavailable,
    )
    await commit.run(1)
    outcomes = await gather(commit, 1, 2)
    assert [type(outcome) for outcome in outcomes] == [UpstreamUnavailable, int]
    assert table.numbers() == [1, 2]
    await commit.close()


async def test_a_fatal_one_dies_of_its_first_failure(opener: Opener, table: Table) -> None:
    commit = opener(fatal=True, unavailable=AuditUnavailable)
    await commit.run(1)
    outcomes = await gather(commit, 2, 666)
    assert [type(outcome) for outcome in outcomes] == [AuditUnavailable, AuditUnavailable]
    with pytest.raises(AuditUnavailable):
        await commit.run(3)
    assert not commit.healthy()
    assert table.numbers() == [1]


async def test_a_fatal_one_survives_waiting_for_a_lock_in_vain(table: Table) -> None:
    commit: Insert = GroupCommit(
        engines.create(table.engine.url, timeout_seconds=0.01),
        table.insert,
        name="numbers",
        queue_max=9,
        batch_max=9,
        full=Overloaded,
        unavailable=AuditUnavailable,
        fatal=True,
    )
    with table.engine.connect() as holder, holder.begin():
        with pytest.raises(AuditUnavailable):
            await commit.run(1)
        assert commit.healthy()  # unhealthy, it would be ended
    assert await commit.run(2) == 2
    assert commit.healthy()
    assert table.numbers() == [2]
    await commit.close()


async def test_jobs_behind_a_fatal_failure_are_refused_too(opener: Opener, table: Table) -> None:
    commit = opener(fatal=True, batch_max=1)
    outcomes = await gather(commit, 1, 666, 2, 3)
    assert outcomes[0] == 1
    assert all(isinstance(outcome, GatewayError) for outcome in outcomes[1:])
    assert table.numbers() == [1]


async def test_a_full_queue_refuses_at_once_and_empties_again(opener: Opener) -> None:
    commit = opener(queue_max=3)
    outcomes = await gather(commit, 1, 2, 3, 4)
    assert [type(outcome) for outcome in outcomes] == [int, int, int, Overloaded]
    assert await commit.run(4) == 4


async def test_the_job_of_a_cancelled_caller_is_done(opener: Opener, table: Table) -> None:
    commit = opener()
    caller = asyncio.ensure_future(commit.run(1))
    await asyncio.sleep(0)
    caller.cancel()
    await commit.run(2)
    assert caller.cancelled()
    assert table.numbers() == [1, 2]


async def test_closing_finishes_the_waiting_jobs_and_refuses_new_ones(opener: Opener, table: Table) -> None:
    commit = opener()
    callers = asyncio.gather(*(commit.run(number) for number in range(30)))
    await asyncio.sleep(0)
    await commit.close()
    assert await callers == list(range(30))
    with pytest.raises(UpstreamUnavailable):
        await commit.run(31)
    assert table.numbers() == list(range(30))


async def test_an_unused_one_closes_without_a_thread(opener: Opener) -> None:
    await opener().close()


async def test_an_unreachable_database_is_tried_again_by_the_next_batch(opener: Opener, table: Table) -> None:
    reachable = False

    @event.listens_for(table.engine, "do_connect")
    def connect(*_arguments: Any) -> None:
        if not reachable:
            raise ConnectionRefusedError

    commit = opener()
    with pytest.raises(UpstreamUnavailable):
        await commit.run(1)
    assert not commit.healthy()
    reachable = True
    assert await commit.run(1) == 1
    assert commit.healthy()

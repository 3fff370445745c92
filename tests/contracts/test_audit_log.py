"""The contract of `ports.AuditLog`, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
import pytest
from sqlalchemy import delete, insert, update

from adapters.sql import engine as engines
from adapters.sql import tables
from adapters.sql.audit import AuditLogDamaged, SqlAuditLog, open_audit_log
from gateway.core import merkle
from gateway.core.merkle import leaf_hash
from gateway.errors import AuditUnavailable
from gateway.ports import StoredEntry
from tests import samples
from tests.fakes import FakeSealer
from tests.samples import ORIGIN

Opener = Callable[..., AbstractAsyncContextManager[SqlAuditLog]]


@pytest.fixture
def opener(database: str) -> Opener:
    def open_(**changes: Any) -> AbstractAsyncContextManager[SqlAuditLog]:
        values: dict[str, Any] = {
            "name": "test/audit",
            "origin": ORIGIN,
            "sealer": FakeSealer(),
            "queue_max": 1_000,
            "batch_max": 64,
        }
        return open_audit_log(database, **(values | changes))

    return open_


@pytest.fixture
async def log(opener: Opener) -> AsyncIterator[SqlAuditLog]:
    async with opener() as opened:
        yield opened


async def entries(log: SqlAuditLog, start: int = 0, page: int = 1_000) -> list[StoredEntry]:
    return [stored async for stored in log.read(start, page=page)]


def write(url: str, *statements: Any) -> None:
    with engines.create(url).connect() as connection, connection.begin():
        for statement in statements:
            connection.execute(statement)


async def test_records_stand_in_their_order_from_index_zero(log: SqlAuditLog) -> None:
    records = [samples.record() for _ in range(5)]
    positions = [*await log.append(records[:3]), *await log.append(records[3:])]
    assert [position.index for position in positions] == [0, 1, 2, 3, 4]
    stored = await entries(log, page=2)
    assert [orjson.loads(one.entry or b"")["id"] for one in stored] == [record.record_id for record in records]
    assert [one.leaf_hash for one in stored] == [position.leaf_hash for position in positions]
    assert all(leaf_hash(one.entry or b"") == one.leaf_hash for one in stored)
    assert [one.index for one in await entries(log, start=3)] == [3, 4]
    assert await log.size() == 5


async def test_simultaneous_appends_have_one_place_each(log: SqlAuditLog) -> None:
    appended = await asyncio.gather(*(log.append([samples.record(), samples.record()]) for _ in range(100)))
    indices = [position.index for positions in appended for position in positions]
    assert sorted(indices) == list(range(200))
    assert all(second.index == first.index + 1 for first, second in appended)


async def test_nothing_is_appended_for_no_records(log: SqlAuditLog) -> None:
    assert list(await log.append([])) == []
    assert await log.size() == 0


async def test_an_opened_log_goes_on_where_it_ended(opener: Opener) -> None:
    async with opener() as log:
        await log.append([samples.record()])
    async with opener() as log:
        [position] = await log.append([samples.record()])
        assert position.index == 1
        assert log.healthy()


async def test_a_record_above_the_limit_is_refused_and_the_log_goes_on(log: SqlAuditLog) -> None:
    with pytest.raises(ValueError, match="limit"):
        await log.append([samples.record(counterparty="x" * 20_000)])
    assert log.healthy()
    assert len(await log.append([samples.record()])) == 1


async def test_a_full_queue_refuses_at_once(opener: Opener) -> None:
    async with opener(queue_max=3) as log:
        appended = await asyncio.gather(
            *(log.append([samples.record(), samples.record()]) for _ in range(3)), return_exceptions=True
        )
        assert [type(one).__name__ for one in appended] == ["list", "AuditUnavailable", "AuditUnavailable"]
        assert log.healthy()
        assert len(await log.append([samples.record()])) == 1


async def test_two_who_have_the_log_open_append_in_turns_without_gap_or_fork(log: SqlAuditLog, opener: Opener) -> None:
    async with opener() as other:

        async def appends(writer: SqlAuditLog) -> list[int]:
            return [(await writer.append([samples.record()]))[0].index for _ in range(40)]

        found = await asyncio.gather(*(appends(writer) for writer in (log, other) for _ in range(4)))
        assert sorted(index for indices in found for index in indices) == list(range(320))
        stored = await entries(other)
        assert [one.index for one in stored] == list(range(320))
        assert (await log.head()).root == merkle.root([one.leaf_hash for one in stored])
        assert log.healthy()
        assert other.healthy()


async def test_a_log_of_another_name_is_not_opened(opener: Opener) -> None:
    async with opener():
        pass
    with pytest.raises(AuditLogDamaged, match="test/audit"):
        async with opener(name="test/other"):
            pass


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(delete(tables.entries).where(tables.entries.c.idx == 4), id="last entry gone"),
        pytest.param(delete(tables.entries).where(tables.entries.c.idx == 2), id="middle entry gone"),
        pytest.param(delete(tables.entries).where(tables.entries.c.idx == 0), id="first entry gone"),
        pytest.param(delete(tables.entries), id="all entries gone"),
        pytest.param(insert(tables.entries).values(idx=5, entry=b"{}", leaf_hash=b"\0" * 32), id="entry too many"),
        pytest.param(update(tables.entries).where(tables.entries.c.idx == 4).values(entry=b"{}"), id="entry changed"),
        pytest.param(update(tables.head).values(size=4), id="head too small"),
    ],
)
async def test_a_log_that_contradicts_itself_is_not_opened(opener: Opener, database: str, damage: Any) -> None:
    async with opener() as log:
        await log.append([samples.record() for _ in range(5)])
    write(database, damage)
    with pytest.raises(AuditLogDamaged):
        async with opener():
            pass


async def test_no_entry_holds_a_voucher_or_a_name(log: SqlAuditLog) -> None:
    await log.append([samples.record()])
    [stored] = await entries(log)
    assert stored.entry is not None
    assert b"voucher" not in stored.entry
    assert b"Bank A" not in stored.entry
    assert orjson.loads(stored.entry)["subject"] == "b" * 64

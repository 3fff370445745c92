"""The contract of `ports.AuditLog`, on every database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, delete, event, insert, select, update

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


def started(url: str, writing: Engine) -> SqlAuditLog:
    """A log on this engine, to be started and closed."""
    reading = engines.create(url, reads_only=True)
    return SqlAuditLog(
        writing, reading, name="test/audit", origin=ORIGIN, sealer=FakeSealer(), queue_max=1_000, batch_max=64
    )


@contextmanager
def saved(url: str) -> Iterator[Callable[[], None]]:
    """What the log holds now; the function in hand brings it back, as restoring a backup would."""
    with engines.create(url).connect() as connection:
        with connection.begin():
            head = connection.execute(select(tables.head)).mappings().one()

        def restore() -> None:
            write(
                url,
                delete(tables.entries).where(tables.entries.c.idx >= head["size"]),
                update(tables.head).values(**head),
            )

        yield restore


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
        pytest.param(update(tables.entries).where(tables.entries.c.idx == 4).values(entry=b""), id="entry emptied"),
        pytest.param(update(tables.head).values(size=4), id="head too small"),
        pytest.param(update(tables.head).values(root=b"\0" * 32), id="another root"),
        pytest.param(update(tables.head).values(frontier=b"\0" * 64), id="another tree"),
        pytest.param(update(tables.head).values(frontier=b"\0" * 32), id="a tree of another size"),
        pytest.param(delete(tables.head), id="head gone"),
        pytest.param(
            update(tables.entries).where(tables.entries.c.idx == 1).values(leaf_hash=b"\0" * 32), id="leaf hash changed"
        ),
    ],
)
async def test_a_log_that_contradicts_itself_is_not_opened(opener: Opener, database: str, damage: Any) -> None:
    async with opener() as log:
        await log.append([samples.record() for _ in range(5)])
    write(database, damage)
    with pytest.raises(AuditLogDamaged):
        async with opener():
            pass


async def test_the_head_is_that_of_the_tree(log: SqlAuditLog) -> None:
    empty = await log.head()
    assert (empty.origin, empty.size, empty.root, empty.pruned) == ("test/audit", 0, merkle.root([]), 0)
    leaves: list[bytes] = []
    for count in (1, 2, 5, 13):
        leaves += [position.leaf_hash for position in await log.append([samples.record() for _ in range(count)])]
        head = await log.head()
        assert (head.size, head.root) == (len(leaves), merkle.root(leaves))


async def test_entries_are_read_from_an_index_on(log: SqlAuditLog) -> None:
    await log.append([samples.record() for _ in range(5)])
    assert [one.index for one in await log.entries(3, 10)] == [3, 4]
    assert [one.index for one in await log.entries(1, 2)] == [1, 2]
    assert list(await log.entries(5, 10)) == []


async def test_a_gap_between_entries_is_not_read_over(log: SqlAuditLog, database: str) -> None:
    await log.append([samples.record() for _ in range(5)])
    write(database, delete(tables.entries).where(tables.entries.c.idx == 2))
    with pytest.raises(AuditUnavailable):
        await log.entries(0, 10)
    assert [one.index for one in await log.entries(3, 10)] == [3, 4]


async def test_a_log_that_went_back_behind_our_back_takes_nothing_more(log: SqlAuditLog, database: str) -> None:
    await log.append([samples.record() for _ in range(3)])
    with saved(database) as restore:
        await log.append([samples.record()])
        restore()
    with pytest.raises(AuditUnavailable):
        await log.append([samples.record()])
    assert not log.healthy()


async def test_a_log_that_went_back_and_grew_another_way_takes_nothing_more(
    log: SqlAuditLog, opener: Opener, database: str
) -> None:
    await log.append([samples.record() for _ in range(3)])
    with saved(database) as restore:
        await log.append([samples.record() for _ in range(2)])
        restore()
    async with opener() as other:
        await other.append([samples.record() for _ in range(4)])  # longer than what was lost
        with pytest.raises(AuditUnavailable):
            await log.append([samples.record()])
        assert not log.healthy()
        assert (await other.append([samples.record()]))[0].index == 7


async def test_a_writer_of_an_earlier_epoch_takes_nothing_more(log: SqlAuditLog, database: str) -> None:
    await log.append([samples.record()])
    write(database, update(tables.head).values(epoch=tables.head.c.epoch + 1))
    with pytest.raises(AuditUnavailable):
        await log.append([samples.record()])
    assert not log.healthy()
    assert (await log.head()).size == 1


async def test_a_writer_that_pauses_inside_its_transaction_makes_the_other_wait_and_no_fork(
    opener: Opener, database: str
) -> None:
    async with opener() as other:
        writing = engines.create(database)
        reached, resume = threading.Event(), threading.Event()
        pauses = iter([True])

        @event.listens_for(writing, "commit")
        def pause(_connection: Any) -> None:
            if next(pauses, False):
                reached.set()
                resume.wait()

        paused = started(database, writing)
        await paused.start()
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(paused.append([samples.record()]))
            await asyncio.to_thread(reached.wait)
            second = tasks.create_task(other.append([samples.record()]))
            await other.head()  # others read meanwhile
            resume.set()
        assert [first.result()[0].index, second.result()[0].index] == [0, 1]
        assert (await paused.append([samples.record()]))[0].index == 2  # it goes on from where the log is
        await paused.close()


async def test_who_waits_for_the_lock_in_vain_is_refused_and_goes_on_later(log: SqlAuditLog, database: str) -> None:
    impatient = started(database, engines.create(database, timeout_seconds=0.02))
    await impatient.start()
    with engines.create(database).connect() as holder, holder.begin():
        holder.execute(select(tables.head).with_for_update())
        with pytest.raises(AuditUnavailable):
            await impatient.append([samples.record()])
    assert (await impatient.append([samples.record()]))[0].index == 0
    assert impatient.healthy()
    await impatient.close()


@pytest.mark.parametrize("unfit", [{"reason": "\ud800"}, {"time": 1e300}, {"consent": None}], ids=str)
async def test_a_record_that_cannot_become_an_entry_is_refused_alone(log: SqlAuditLog, unfit: dict[str, Any]) -> None:
    found = await asyncio.gather(
        log.append([samples.record()]),
        log.append([samples.record(), samples.record(**unfit)]),
        log.append([samples.record()]),
        return_exceptions=True,
    )
    assert [type(one) for one in found] == [list, ValueError, list]
    assert [one.index for one in await entries(log)] == [0, 1]
    assert log.healthy()


async def test_no_entry_holds_a_voucher_or_a_name(log: SqlAuditLog) -> None:
    await log.append([samples.record()])
    [stored] = await entries(log)
    assert stored.entry is not None
    assert b"voucher" not in stored.entry
    assert b"Bank A" not in stored.entry
    assert orjson.loads(stored.entry)["subject"] == "b" * 64

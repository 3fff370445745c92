"""The index follows the log: in batches, through crashes, erasures and pruning, and only its own log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.sql import migrations
from adapters.sql.audit import SqlAuditLog, open_audit_log
from adapters.sql.search_index import SqlSearchIndex, open_search_index
from gateway.audit.query import parse
from gateway.compliance.operator import Operator
from gateway.core.pseudonym import pseudonym
from gateway.errors import AuditUnavailable
from gateway.followers.indexer import Indexer
from gateway.ports import Head, Indexed, StoredEntry
from tests import samples
from tests.fakes import FakeClock, FakeSealer

KEYED = partial(pseudonym, b"k" * 32)
OPERATOR = Operator(name="alice", participant="HKGATEWAY01")
DIGEST = f"digest:sm3:{'d' * 64}"


@dataclass
class Observer:
    lags: list[tuple[int, float]] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    restarts: int = 0
    failures: list[Exception] = field(default_factory=list)

    def lag(self, entries: int, seconds: float) -> None:
        self.lags.append((entries, seconds))

    def unreadable(self, index: int) -> None:
        self.damaged.append(index)

    def started_over(self) -> None:
        self.restarts += 1

    def failed(self, error: Exception) -> None:
        self.failures.append(error)


class Bent:
    """A log whose answers a test can change, or have fail."""

    def __init__(self, log: SqlAuditLog) -> None:
        self.log = log
        self.broken: Exception | None = None
        self.entry: dict[int, bytes] = {}
        self.origin: str | None = None
        self.size: int | None = None

    async def head(self) -> Head:
        if self.broken:
            raise self.broken
        head = await self.log.head()
        return replace(head, origin=self.origin or head.origin, size=head.size if self.size is None else self.size)

    async def entries(self, start: int, count: int) -> Sequence[StoredEntry]:
        return [
            replace(one, entry=self.entry.get(one.index, one.entry)) for one in await self.log.entries(start, count)
        ]


@dataclass
class World:
    log: SqlAuditLog
    bent: Bent
    index: SqlSearchIndex
    observer: Observer
    clock: FakeClock

    def indexer(self, **changes: Any) -> Indexer:
        values: dict[str, Any] = {
            "log": self.bent,
            "keys": self.log,
            "index": self.index,
            "keyed": KEYED,
            "clock": self.clock,
            "observer": self.observer,
            "batch_max": 2,
            "interval_seconds": 0.01,
        }
        return Indexer(**(values | changes))

    async def find(self, text: str = "") -> list[int]:
        query = parse(text, now=0.0, zone=UTC, keyed=KEYED)
        return list(await self.index.find(query, after=None, newest_first=False, limit=100))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("audit", "index")]
    migrations.upgrade(urls[0], "audit")
    migrations.upgrade(urls[1], "index")
    opening = open_audit_log(
        urls[0], name="test/audit", origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=1_000, batch_max=64
    )
    async with opening as log, open_search_index(urls[1]) as index:
        yield World(log=log, bent=Bent(log), index=index, observer=Observer(), clock=FakeClock())


async def drain(indexer: Indexer) -> None:
    while await indexer.round():
        continue


async def test_the_whole_log_is_indexed_batch_by_batch(world: World) -> None:
    await world.log.append(
        [samples.record(outcome=outcome) for outcome in ("MATCH", "REVOKED", "MATCH", "EXPIRED", "MATCH")]
    )
    indexer = world.indexer()
    assert [await indexer.round() for _ in range(4)] == [3, 1, 0, 0]
    assert await world.find("outcome:MATCH") == [0, 2, 4]
    assert await world.find(DIGEST) == [0, 1, 2, 3, 4]
    assert [lag for lag, _ in world.observer.lags] == [3, 1, 0, 0]


async def test_lag_is_the_age_of_what_is_not_indexed(world: World) -> None:
    await world.log.append([samples.record(time=samples.NOW) for _ in range(3)])
    world.clock.advance(7.0)
    indexer = world.indexer()
    await drain(indexer)
    assert world.observer.lags == [(1, 7.0), (0, 0.0)]


async def test_a_new_process_goes_on_where_the_last_one_stopped(world: World) -> None:
    await world.log.append([samples.record() for _ in range(3)])
    await world.indexer().round()
    await drain(world.indexer())
    assert await world.find() == [0, 1, 2]
    assert world.observer.restarts == 0


async def test_two_processes_that_fill_it_do_each_batch_once(world: World) -> None:
    await world.log.append([samples.record() for _ in range(20)])
    await asyncio.gather(drain(world.indexer()), drain(world.indexer(batch_max=3)), drain(world.indexer()))
    assert await world.find() == list(range(20))


async def test_an_index_of_another_log_is_made_anew(world: World) -> None:
    await world.log.append([samples.record() for _ in range(3)])
    await drain(world.indexer())
    world.bent.origin = "test/recovered"
    await drain(world.indexer())
    assert (await world.index.position()).origin == "test/recovered"
    assert await world.find() == [0, 1, 2]
    assert world.observer.restarts == 1


async def test_an_index_ahead_of_its_log_is_made_anew(world: World) -> None:
    await world.log.append([samples.record() for _ in range(4)])
    await drain(world.indexer())
    world.bent.size = 2
    await drain(world.indexer())
    assert await world.find() == [0, 1]
    assert world.observer.restarts == 1


async def test_an_index_of_entries_that_were_replaced_is_made_anew(world: World) -> None:
    await world.log.append([samples.record(outcome="MATCH")])
    await world.index.start_over("test/audit", instead_of=await world.index.position())
    done = await world.index.position()
    await world.index.add([], erasures=(), done=done, to=replace(done, next=1, last_leaf=b"another leaf"))
    await drain(world.indexer())
    assert await world.find("outcome:MATCH") == [0]
    assert world.observer.restarts == 1


async def test_an_erasure_in_the_log_takes_the_digests_out_of_the_index(world: World) -> None:
    gone, stays = (samples.consent(subject=letter * 64) for letter in "ab")
    await world.log.append([samples.record(consent=gone), samples.record(consent=stays), samples.record(consent=gone)])
    indexer = world.indexer()
    await indexer.round()
    assert await world.find(DIGEST) == [0, 1]
    record = OPERATOR.record(samples.NOW, "audit.erased", subject=gone.subject)
    assert await world.log.erase(gone.subject, record)
    await world.log.append([samples.record(consent=gone)])  # under a new key
    await drain(indexer)
    assert await world.find(DIGEST) == [1, 4]
    assert await world.find(f"subject:{gone.subject}") == [0, 2, 3, 4]


async def test_digests_opened_just_before_an_erasure_go_with_it(world: World) -> None:
    consent = samples.consent(subject="a" * 64)
    await world.log.append([samples.record(consent=consent)])
    still_open = await world.log.open_for([consent.subject])
    assert await world.log.erase(consent.subject, OPERATOR.record(samples.NOW, "audit.erased", subject=consent.subject))

    class Late:
        async def open_for(self, _subjects: Sequence[str]) -> Any:
            return still_open

    await world.indexer(keys=Late(), batch_max=1).round()
    assert await world.find(DIGEST) == [0]
    await drain(world.indexer())
    assert await world.find(DIGEST) == []


async def test_pruned_entries_leave_the_index_and_are_not_looked_for(world: World) -> None:
    await world.log.append([samples.record() for _ in range(300)])
    indexer = world.indexer(batch_max=400)
    await drain(indexer)
    await world.log.prune(256, OPERATOR.record(samples.NOW, "audit.pruned"))
    await drain(indexer)
    assert await world.find() == list(range(256, 301))
    await world.index.start_over("test/audit", instead_of=await world.index.position())
    await drain(world.indexer(batch_max=100))
    assert await world.find() == list(range(256, 301))


@pytest.mark.parametrize("damage", [b"no JSON", b"[]", b"{}", b'{"sealed":7}'])
async def test_a_damaged_entry_is_told_and_holds_nothing_up(world: World, damage: bytes) -> None:
    await world.log.append([samples.record() for _ in range(3)])
    world.bent.entry[1] = damage
    await drain(world.indexer())
    assert await world.find() == [0, 2]
    assert world.observer.damaged == [1]


async def test_an_entry_with_another_ones_ciphertext_is_found_by_its_public_fields(world: World) -> None:
    await world.log.append([samples.record(outcome="MATCH"), samples.record(outcome="REVOKED")])

    class Wrong:
        async def open_for(self, _subjects: Sequence[str]) -> Any:
            def open_(*_: object) -> bytes:
                raise ValueError

            return open_

    await drain(world.indexer(keys=Wrong()))
    assert await world.find("outcome:REVOKED") == [1]
    assert await world.find(DIGEST) == []
    assert world.observer.damaged == [0, 1]


async def test_catching_up_ends_when_the_time_is_up(world: World) -> None:
    await world.log.append([samples.record() for _ in range(10)])

    class Ticking(FakeClock):
        def monotonic(self) -> float:
            self.advance(1.0)
            return super().monotonic()

    assert await world.indexer(clock=Ticking()).catch_up(10, seconds=3.5) == 6
    assert await world.indexer().catch_up(10, seconds=60.0) == 10


async def test_a_round_that_fails_is_told_and_the_next_one_goes_on(world: World) -> None:
    await world.log.append([samples.record()])
    stop = asyncio.Event()

    class Healing(Observer):
        def failed(self, error: Exception) -> None:
            super().failed(error)
            world.bent.broken = None

        def lag(self, entries: int, seconds: float) -> None:
            stop.set()

    world.bent.broken = AuditUnavailable()
    observer = Healing()
    await world.indexer(observer=observer).run(stop)
    assert [type(error) for error in observer.failures] == [AuditUnavailable]
    assert await world.find() == [0]


async def test_a_position_at_the_start_is_of_any_content(world: World) -> None:
    await world.index.start_over("test/audit", instead_of=await world.index.position())
    await drain(world.indexer())
    assert await world.index.position() == Indexed(origin="test/audit", next=0, last_leaf=b"", pruned=0)
    assert world.observer.restarts == 0

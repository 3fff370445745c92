"""Reading is on record before anything is shown; what is shown is the log's word, not the index's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.sql import migrations
from adapters.sql.audit import SqlAuditLog, open_audit_log
from adapters.sql.search_index import SqlSearchIndex, open_search_index
from gateway.audit.query import Query, parse
from gateway.audit.record import Record
from gateway.compliance.opening import Condition, OpenedEntry
from gateway.compliance.operator import Operator
from gateway.compliance.reading import Reading
from gateway.core.pseudonym import pseudonym
from gateway.errors import AuditUnavailable
from gateway.followers.indexer import Indexer
from gateway.ports import Position
from tests import samples
from tests.fakes import FakeClock, FakeSealer

KEYED = partial(pseudonym, b"k" * 32)
OPERATOR = Operator(name="alice", participant="HKGATEWAY01")


class Quiet:
    def lag(self, entries: int, seconds: float) -> None: ...

    def unreadable(self, index: int) -> None: ...

    def started_over(self) -> None: ...

    def failed(self, error: Exception) -> None: ...


class Lagging:
    """An indexer that gets nowhere."""

    def __init__(self, covers: int) -> None:
        self.covers = covers

    async def catch_up(self, _size: int, *, seconds: float) -> int:
        return self.covers


class Refusing(SqlAuditLog):
    """A log that can be read and not written any more."""

    async def append(self, records: Sequence[Record]) -> Sequence[Position]:
        raise AuditUnavailable


@dataclass
class World:
    log: SqlAuditLog
    index: SqlSearchIndex
    indexer: Indexer

    def reading(self, **changes: Any) -> Reading:
        values = {"log": self.log, "index": self.index, "indexer": self.indexer, "keyed": KEYED, "clock": FakeClock()}
        return Reading(**(values | {"operator": OPERATOR, "follow_seconds": 0.001} | changes))

    async def facts(self) -> list[dict[str, Any]]:
        entries = [orjson.loads(one.entry or b"") for one in await self.log.entries(0, 1_000)]
        return [body["facts"] for body in entries if body["type"] == "audit.read"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("audit", "index")]
    migrations.upgrade(urls[0], "audit")
    migrations.upgrade(urls[1], "index")
    opening = open_audit_log(
        urls[0], name="test/audit", origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=1_000, batch_max=64
    )
    async with opening as log, open_search_index(urls[1]) as index:
        indexer = Indexer(log=log, keys=log, index=index, keyed=KEYED, clock=FakeClock(), observer=Quiet())
        yield World(log=log, index=index, indexer=indexer)


def query(text: str = "") -> Query:
    return parse(text, now=0.0, zone=UTC, keyed=KEYED)


def indices(entries: Sequence[OpenedEntry]) -> list[int]:
    return [entry.index for entry in entries]


async def test_a_search_sees_what_was_committed_before_it_and_is_recorded(world: World) -> None:
    await world.log.append([samples.record(outcome=outcome) for outcome in ("MATCH", "REVOKED", "MATCH")])
    page = await world.reading().search(query("outcome:MATCH"), limit=1, after=2)
    assert (indices(page.entries), page.following, page.indexed, page.size) == ([0], None, 3, 3)
    expected = {"act": "search", "query": "outcome:MATCH", "limit": 1, "order": "newest", "after": 2}
    assert await world.facts() == [expected]


async def test_nothing_is_shown_that_is_not_recorded(world: World) -> None:
    await world.log.append([samples.record() for _ in range(3)])
    world.log.__class__ = Refusing
    reading = world.reading()
    for act in (
        reading.search(query(), limit=9),
        reading.show(0),
        reading.show_record("01900000-0000-7000-8000-000000000001"),
        anext(reading.tail(query(), lines=3, follow=None)),
    ):
        with pytest.raises(AuditUnavailable):
            await act
    world.log.__class__ = SqlAuditLog


async def test_an_index_that_lags_is_said(world: World) -> None:
    await world.log.append([samples.record() for _ in range(4)])
    await world.indexer.round()
    await world.log.append([samples.record()])
    page = await world.reading(indexer=Lagging(4)).search(query(), limit=9)
    assert (indices(page.entries), page.indexed, page.size) == ([3, 2, 1, 0], 4, 5)
    assert [facts["indexed"] for facts in await world.facts()] == [4]


async def test_what_the_index_found_is_compared_with_the_entry(world: World) -> None:
    consent = samples.consent(subject="a" * 64)
    await world.log.append([samples.record(consent=consent)])
    await world.indexer.round()
    erased = OPERATOR.record(samples.NOW, "audit.erased", subject=consent.subject)
    assert await world.log.erase(consent.subject, erased)
    page = await world.reading(indexer=Lagging(1)).search(query(f"digest:sm3:{'d' * 64}"), limit=9)
    assert page.entries == []
    one = await world.reading().show(0)
    assert one is not None
    assert one.condition is Condition.ERASED


async def test_reading_about_one_subject_is_recorded_under_it(world: World) -> None:
    subject = "a" * 64
    await world.reading().search(query(f"subject:{subject}"), limit=9)
    await world.reading().search(query(f"-subject:{subject}"), limit=9)
    await world.reading().search(query(f"subject:{subject} subject:{'b' * 64}"), limit=9)
    page = await world.reading().search(query(f"subject:{subject} type:audit.read"), limit=9)
    assert indices(page.entries) == [0]


async def test_an_entry_that_is_not_there_is_recorded_as_asked_for(world: World) -> None:
    assert await world.reading().show(17) is None
    assert await world.reading().show_record("01900000-0000-7000-8000-000000000001") == []
    first, second = await world.facts()
    assert first == {"act": "show", "index": 17}
    assert second["query"] == "record:01900000-0000-7000-8000-000000000001"


@pytest.mark.parametrize("covers", [0, 3, 6])
async def test_a_tail_needs_no_index_for_what_is_new(world: World, covers: int) -> None:
    await world.log.append([samples.record(outcome=outcome) for outcome in ("MATCH", "REVOKED") * 3])
    await world.indexer.catch_up(6, seconds=60.0)
    reading = world.reading(indexer=Lagging(covers))
    assert [one.index async for one in reading.tail(query("outcome:REVOKED"), lines=2, follow=None)] == [3, 5]
    assert [one.index async for one in reading.tail(query("outcome:REVOKED"), lines=0, follow=None)] == []
    assert [one.index async for one in reading.tail(query("index:..3"), lines=2, follow=None)] == [2, 3]


async def test_a_tail_follows_what_comes_and_says_how_far_it_went(world: World) -> None:
    await world.log.append([samples.record(outcome="MATCH")])
    stop = asyncio.Event()
    shown = []
    async for one in world.reading().tail(query("outcome:MATCH"), lines=5, follow=stop):
        shown.append(one.index)
        if len(shown) < 3:
            await world.log.append([samples.record(outcome="REVOKED"), samples.record(outcome="MATCH")])
        else:
            stop.set()
    assert shown == [0, 3, 5]
    began, ended = await world.facts()
    assert began == {"act": "tail", "query": "outcome:MATCH", "lines": 5, "follow": 1}
    assert ended == {"act": "tail-end", "query": "outcome:MATCH", "size": 6}
